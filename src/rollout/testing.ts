import { chainEvent, chainStart, type ChainHead } from "../ledger/chain.ts";
import type { EventData } from "../ledger/event.ts";
import { applyEvent } from "../ledger/fold.ts";
import { emptyState, environmentKey, type EnvironmentRecord, type LedgerState } from "../ledger/state.ts";
import { sha256 } from "../model/canonical.ts";
import {
  contentDigest,
  defaultEnvironmentSettings,
  defaultRunSettings,
  type Content,
  type EnvironmentSettings,
  type RunSettings,
} from "../model/content.ts";
import { instanceName, parseAppName, parseEnvironmentName, setName, webProcess, type SetName } from "../model/names.ts";
import { startingHealth, type Health } from "./health.ts";
import type { Step } from "./step.ts";
import { viewsOf, type EnvironmentView, type InstanceView } from "./view.ts";

/** Helpers of the planners' tests: a small world that is told in events. */
export const app = parseAppName("shop");
export const environment = parseEnvironmentName("production");
export const cause = { who: "ada", why: "" };

export function contentOf(text: string, settings: Partial<RunSettings> = {}): Content {
  return { artifact: sha256(text), config: {}, secrets: {}, settings: { ...defaultRunSettings, ...settings } };
}

export function set(release: number): SetName {
  return setName(app, environment, release);
}

export const healthyNow = (atMs: number): Health => ({
  ...startingHealth,
  state: "healthy",
  healthySinceMs: atMs,
  lastPassedAtMs: atMs,
  probes: 1,
});

/** A ledger under construction, with its state. */
export class Story {
  readonly state: LedgerState = emptyState();
  #head: ChainHead = chainStart;
  nowMs = 1_000_000;

  tell(...events: EventData[]): this {
    for (const data of events) {
      const event = chainEvent(this.#head, { atMs: this.nowMs, data });
      this.#head = event;
      applyEvent(this.state, event);
    }
    return this;
  }

  later(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  settings(settings: Partial<EnvironmentSettings>): this {
    return this.tell({
      kind: "environment.changed",
      app,
      environment,
      settings: { ...defaultEnvironmentSettings, ...settings },
      cause,
    });
  }

  create(release: number, content: Content, options: { of?: number; set?: SetName; automatic?: boolean } = {}): this {
    return this.tell({
      kind: "release.created",
      app,
      environment,
      release,
      digest: contentDigest(content),
      content,
      set: options.set ?? set(release),
      type: options.of === undefined ? "deploy" : "rollback",
      of: options.of ?? null,
      automatic: options.automatic ?? false,
      cause,
      deadlineMs: this.record.settings.deadlineMs,
    });
  }

  goLive(release: number): this {
    const to = this.record.releases.get(release)?.set ?? set(release);
    const from = this.record.live?.set ?? null;
    return this.tell(
      { kind: "traffic.switching", app, environment, release, set: to, from },
      {
        kind: "traffic.switched",
        app,
        environment,
        release,
        set: to,
        from,
        elapsedMs: 3,
        warm: false,
        baseline: { requests: 0, errors: 0 },
      },
    );
  }

  prove(release: number): this {
    return this.tell({ kind: "release.proven", app, environment, release, reason: "watched" });
  }

  deployed(release: number, content: Content): this {
    return this.create(release, content).goLive(release).prove(release);
  }

  get record(): EnvironmentRecord {
    const record = this.state.environments.get(environmentKey(app, environment));
    if (record === undefined) throw new Error("tell of settings first");
    return record;
  }
}

export function instance(release: number, ordinal: number, change: Partial<InstanceView> = {}): InstanceView {
  return {
    name: instanceName(set(release), ordinal, change.process),
    set: set(release),
    process: webProcess,
    ordinal,
    phase: "running",
    address: `10.128.${release}.${ordinal}`,
    startedAtMs: 1_000_000,
    exit: null,
    orphaned: false,
    health: healthyNow(1_000_000),
    ...change,
  };
}

export function view({ instances = [], ...change }: ViewChange = {}): EnvironmentView {
  return {
    sets: viewsOf(instances),
    tasks: [],
    placed: new Map(),
    drained: new Set(),
    rules: [],
    memory: { totalBytes: 8e9, availableBytes: 6e9 },
    recent: { requests: 0, errors: 0 },
    serving: new Set(),
    bootedAtMs: null,
    ...change,
  };
}

type ViewChange = Partial<EnvironmentView> & { readonly instances?: readonly InstanceView[] };

/** A view in which these instances run, are placed, and `live` answers the route. */
export function served(
  instances: readonly InstanceView[],
  live: SetName | null,
  change: ViewChange = {},
): EnvironmentView {
  const placed = new Map(
    [...Map.groupBy(instances, (one) => one.set)].map(
      ([name, members]) => [name, members.map((one) => one.name).sort()] as const,
    ),
  );
  const rules = live === null ? [] : [{ route: { host: null, path: "/" }, stable: live }];
  return view({ instances, placed, rules, ...change });
}

/** Steps without what they were decided from, which has tests of its own. */
export function bare(steps: readonly Step[]): readonly object[] {
  return steps.map((step) => {
    const plain: Record<string, unknown> = { ...step };
    delete plain["decision"];
    delete plain["decisions"];
    return plain;
  });
}
