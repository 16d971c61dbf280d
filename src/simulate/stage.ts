import type { Controller } from "../controller/controller.ts";
import { createVirtualClock, type VirtualClock } from "../drivers/memory/clock.ts";
import { createMemoryEvidence } from "../drivers/memory/evidence.ts";
import { createMemoryMetrics, type MemoryMetrics } from "../drivers/memory/metrics.ts";
import { createMemoryVerifier, type MemoryVerifier } from "../drivers/memory/verifier.ts";
import { createMemoryJournal, type MemoryJournal } from "../drivers/memory/journal.ts";
import { createMemoryRouter, type MemoryRouter } from "../drivers/memory/router.ts";
import { createMemoryMachine, type MemoryMachine, type TrueInstance } from "../drivers/memory/runtime.ts";
import { createMemorySecrets, type MemorySecrets } from "../drivers/memory/secrets.ts";
import { createMemoryVolumes, type MemoryVolumes } from "../drivers/memory/volumes.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { applyEvent, foldEvents } from "../ledger/fold.ts";
import {
  emptyState,
  environmentKey,
  type EnvironmentRecord,
  type LedgerState,
  type ReleaseRecord,
} from "../ledger/state.ts";
import type { InstanceName, SetName } from "../model/names.ts";
import type { MetricAnswer, MetricQuery } from "../ports/metrics.ts";
import type { EvidenceKeeper } from "../ports/evidence.ts";

import { app, environment, traitsOf } from "./contents.ts";
import type { Invariant, InvariantName, Watcher } from "./invariants/invariant.ts";
import type { Life } from "./life.ts";
import type { Act, Story, Traits } from "./story.ts";
import { drawTimings, type TimedStep, type Timings } from "./timings.ts";

/** Of the one environment there is: asked for all the time. */
const key = environmentKey(app, environment);

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: InvariantName;
  readonly atMs: number;
  readonly finding: string;
}

/** How much happened. */
export interface Tally {
  /** Applied plan steps, and observations that changed something. */
  steps: number;
  faults: number;
  /** Rollouts of four or more instances. */
  rollouts: number;
  requests: number;
  failed: number;
  lives: number;
}

/** Longest time after a fault for which an instance's trouble may go unnoticed, in ms: three probes and their time-outs. */
const noticeMs = 20_000;

/** Instances after which those that are ready one after the other begin anew. */
const spreadOver = 12;

/** Longest time after which a daemon tries again what failed, in ms, and some to do it in. */
const slowestRetryMs = 12_000;

const nobody: readonly InstanceName[] = [];

type Often = "event" | "acknowledged" | "issued" | "before" | "after" | "request" | "broken" | "look";

type Listening = { readonly [Name in Often]: readonly NonNullable<Watcher[Name]>[] };

function listeningOf(watchers: readonly Watcher[]): Listening {
  const of = <Name extends keyof Watcher>(name: Name): readonly NonNullable<Watcher[Name]>[] =>
    watchers.flatMap((watcher) => watcher[name] ?? []);
  return {
    event: of("event"),
    acknowledged: of("acknowledged"),
    issued: of("issued"),
    before: of("before"),
    after: of("after"),
    request: of("request"),
    broken: of("broken"),
    look: of("look"),
  };
}

/** The world of one run as it is in truth, the daemons that come and go in it, and those who watch it. */
export class Stage {
  readonly story: Story;
  readonly clock: VirtualClock = createVirtualClock();
  readonly volumes: MemoryVolumes;
  readonly machine: MemoryMachine;
  readonly router: MemoryRouter;
  readonly journal: MemoryJournal;
  readonly evidence: EvidenceKeeper;
  readonly verifier: MemoryVerifier;
  readonly secrets: MemorySecrets;
  readonly metrics: MemoryMetrics;
  #state: LedgerState = emptyState();
  #record: EnvironmentRecord | undefined;
  /** The daemon that lives; null: none does. */
  life: Life | null = null;
  controller: Controller | null = null;
  readonly tally: Tally = { steps: 0, faults: 0, rollouts: 0, requests: 0, failed: 0, lives: 0 };
  readonly violations: Violation[] = [];
  /** What happened, for people; empty unless it is asked for. */
  readonly told: { readonly atMs: number; readonly text: string }[] = [];
  readonly isTelling: boolean;
  /** A time that a step takes, as it took in a real run; null: what the story says. */
  readonly draw: ((step: TimedStep) => number) | null;
  readonly watchers: readonly Watcher[];
  /** Those of them that listen to what happens most. */
  readonly listening: Listening;
  /** Faults that last, and until when; monotonic. */
  readonly lasting = { slowStarts: { untilMs: 0, byMs: 0 }, noStarts: { untilMs: 0, full: false }, shortUntilMs: 0 };
  /** Nothing goes wrong any more, and whatever is started does well. */
  isOver = false;
  /** Until when something may be late as a port or the journal was in the way, monotonic. */
  hinderedUntilMs = 0;
  #measurements = 0;
  readonly #touched = new Map<InstanceName, number>();
  /** Whether instances of any content end by themselves: in most stories none do. */
  readonly #haveEnds: boolean;

  constructor(
    story: Story,
    options: {
      readonly invariants: readonly Invariant[];
      readonly tells: boolean;
      readonly exactly: boolean;
      readonly timings: Timings | null;
    },
  ) {
    this.story = story;
    this.#haveEnds = story.contents.some(({ exitMs }) => exitMs !== null);
    this.isTelling = options.tells;
    const draw = options.timings === null ? null : drawTimings(options.timings, story.seed);
    this.draw = draw;
    this.volumes = createMemoryVolumes(this.clock);
    this.machine = createMemoryMachine({
      clock: this.clock,
      volumes: this.volumes,
      behaves: (set, _, ordinal) => {
        const traits = traitsOf(story, set.content);
        const { slowStarts } = this.lasting;
        // What is slower than its content waits for could never do well.
        const soonMs = Math.min(traits.readyMs ?? 0, set.content.settings.health.deadlineMs / 2);
        const behaviour = this.isOver ? { ...traits, readyMs: soonMs, spreadMs: 0, exitMs: null } : traits;
        const isSlow = this.clock.monotonic() < slowStarts.untilMs;
        const laterMs = (behaviour.spreadMs ?? 0) * (ordinal % spreadOver);
        return {
          startMs: (draw?.("start") ?? behaviour.startMs) + (isSlow ? slowStarts.byMs : 0),
          failure: null,
          // What the content takes itself comes on top.
          readyMs: behaviour.readyMs === null ? null : behaviour.readyMs + laterMs + (draw?.("ready") ?? 0),
          status: 200,
          exitMs: behaviour.exitMs,
          exitCode: 1,
          endsOnTerm: behaviour.endsOnTerm,
        };
      },
    });
    this.router = createMemoryRouter();
    this.journal = createMemoryJournal(options.exactly ? {} : { chain: "cheap" });
    this.evidence = createMemoryEvidence();
    this.verifier = createMemoryVerifier();
    this.secrets = createMemorySecrets();
    // Given, not assigned: the engine takes a function literal that is assigned to a property for one that stays, and keeps
    // all it refers to, a whole run, until all memory is collected.
    this.metrics = createMemoryMetrics((query) => this.#measure(query));
    this.watchers = options.invariants.map(({ name, watch }) =>
      watch(this, (finding) => this.violations.push({ invariant: name, atMs: this.nowMs, finding })),
    );
    this.listening = listeningOf(this.watchers);
  }

  /** Since the beginning of the run. */
  get nowMs(): number {
    return this.clock.monotonic();
  }

  /** What the ledger on disk says: folded by the simulator itself, whatever daemons make of it. */
  get state(): LedgerState {
    return this.#state;
  }

  /** Of the one environment there is. It changes by `append` and `refold` alone. */
  get record(): EnvironmentRecord | undefined {
    return this.#record;
  }

  /** What the ledger says is live; null: nothing. */
  get live(): EnvironmentRecord["live"] {
    return this.record?.live ?? null;
  }

  /** The release whose rollout is under way. */
  get active(): ReleaseRecord | undefined {
    const { record } = this;
    return record === undefined || record.active === null ? undefined : record.releases.get(record.active);
  }

  tell(text: () => string): void {
    if (this.isTelling) this.told.push({ atMs: this.nowMs, text: text() });
  }

  /** What is on disk from now on. */
  append(events: readonly LedgerEvent[]): void {
    for (const event of events) {
      applyEvent(this.#state, event);
      this.#record = this.#state.environments.get(key);
      for (const tell of this.listening.event) tell(event);
    }
  }

  /** The ledger is read again, as after some of it was lost. */
  refold(): void {
    this.#state = foldEvents(this.journal.read());
    this.#record = this.#state.environments.get(key);
  }

  /** An instance is in trouble that a daemon need not know of yet. */
  touch(name: InstanceName, forMs = 0): void {
    this.#touched.set(name, Math.max(this.#touched.get(name) ?? 0, this.nowMs + forMs + noticeMs));
  }

  /** Whether nothing happened to an instance lately, and its content is not such that it may end at any moment. */
  isSteady(name: InstanceName, instance = this.machine.instance(name)): boolean {
    if (instance === undefined || (this.#haveEnds && this.traits(instance).exitMs !== null)) return false;
    return !this.isTouched(name);
  }

  /** Whether something happened to an instance lately, be it there or not. */
  isTouched(name: InstanceName): boolean {
    const untilMs = this.#touched.size === 0 ? undefined : this.#touched.get(name);
    return untilMs !== undefined && untilMs > this.nowMs;
  }

  /** What was in the way may have made the daemon wait before it tries again. */
  hinder(forMs: number): void {
    this.hinderedUntilMs = Math.max(this.hinderedUntilMs, this.nowMs + forMs + slowestRetryMs);
  }

  /** For how long a daemon has lived with nothing in its way, in ms. */
  get unhinderedMs(): number {
    if (this.life === null || this.controller === null) return 0;
    return Math.max(0, this.nowMs - Math.max(this.life.bornAtMs, this.hinderedUntilMs));
  }

  /** What instances of its content do. */
  traits({ set }: TrueInstance): Traits {
    return traitsOf(this.story, set.content);
  }

  /** What a measurement of the release says that its command names. */
  #measure(query: MetricQuery): MetricAnswer {
    const release = query.kind === "command" ? this.record?.releases.get(Number(query.command[1])) : undefined;
    if (release === undefined) return { kind: "error", reason: "nobody knows this release" };
    const of = this.isOver ? "well" : (traitsOf(this.story, release.content).measured ?? "well");
    switch (of) {
      case "well":
      case "badly":
        return { kind: "values", values: { result: of === "well" ? 1 : 0 } };
      case "wavering":
        this.#measurements += 1;
        return { kind: "values", values: { result: this.#measurements % 2 } };
      case "nothing":
        return { kind: "nothing", reason: "there are no samples" };
      case "unknown":
        return { kind: "error", reason: "nobody answers" };
    }
  }

  /** Whether an instance answers as it should. */
  isFine(instance: TrueInstance | undefined): boolean {
    return (
      instance?.seen.phase === "running" &&
      instance.status !== null &&
      instance.status < 500 &&
      instance.readyAtMs <= this.nowMs
    );
  }

  /**
   * Instances of some sets that get requests of the app's route now. Where others leave them so few that a set's part is
   * below the smallest share there is, its instances are among them without one.
   *
   * @param standsBy whether a set without a share may be such a one: none that is given up is
   */
  takingInstances(isWanted: (set: SetName) => boolean, standsBy: (set: SetName) => boolean): readonly InstanceName[] {
    let names = nobody;
    const add = (more: readonly InstanceName[]): void => {
      names = names.length === 0 ? more : [...names, ...more];
    };
    for (const { route, stable, canaries } of this.router.rules()) {
      if (route.host !== null) continue;
      if (canaries === undefined) {
        if (isWanted(stable)) add(this.router.taking(stable));
        continue;
      }
      let rest = 10_000;
      let left = 10_000;
      const taken: SetName[] = [];
      for (const { set, weight } of canaries) {
        rest -= weight;
        if (!isWanted(set)) left -= weight;
        else if (weight > 0) taken.push(set);
      }
      if (!isWanted(stable)) left -= rest;
      else if (rest > 0) taken.push(stable);
      for (const set of taken) add(this.router.taking(set));
      if (left === 10_000 || left <= 0) continue;
      const others = [...this.router.placed()]
        .filter((set) => !taken.includes(set) && standsBy(set))
        .map((set) => this.router.taking(set));
      const total = others.reduce((sum, { length }) => sum + length, names.length);
      for (const some of others) if (left * some.length < total) add(some);
    }
    return names;
  }

  answered(act: Act, outcome: { readonly result: unknown } | { readonly error: unknown }): void {
    for (const watcher of this.watchers) watcher.answer?.(act, outcome);
  }
}
