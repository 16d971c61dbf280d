import { asOperatorError } from "../errors/operator-error.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import { noLimits, type EnvironmentLimits } from "../model/content.ts";
import type { ControllerPorts, Log } from "./ports.ts";

export interface LimitKeeperOptions {
  readonly ports: ControllerPorts;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Keeps the limits of each app in each environment as its settings say. */
export class LimitKeeper {
  readonly #options: LimitKeeperOptions;
  /** What was asked for last; absent: nothing, or it failed. */
  readonly #asked = new Map<string, EnvironmentLimits | null>();
  readonly #problems = new Map<string, string>();

  constructor(options: LimitKeeperOptions) {
    this.#options = options;
  }

  /** Asks for what changed since the last look; a failure is tried again by the next one. */
  look(record: EnvironmentRecord): void {
    const key = environmentKey(record.app, record.environment);
    const wanted = wantedLimits(record);
    const before = this.#asked.get(key);
    // Nearly always nobody is limited at all.
    if (before === undefined && wanted === null) return;
    if (before !== undefined && same(before, wanted)) return;
    this.#asked.set(key, wanted);
    const { ports, signal, log } = this.#options;
    ports.runtime.confine(record.app, record.environment, wanted, signal).then(
      () => this.#problems.delete(key),
      (thrown: unknown) => {
        if (this.#asked.get(key) === wanted) this.#asked.delete(key);
        if (signal.aborted) return;
        const error = asOperatorError(thrown);
        if (this.#problems.get(key) !== error.message) log("warn", "cannot limit an environment", { error });
        this.#problems.set(key, error.message);
      },
    );
  }

  /** What stands in the way of an environment's limits, in words. */
  problemOf(record: EnvironmentRecord): string | undefined {
    return this.#problems.get(environmentKey(record.app, record.environment));
  }
}

function same(a: EnvironmentLimits | null, b: EnvironmentLimits | null): boolean {
  if (a === null || b === null) return a === b;
  return a.memoryBytes === b.memoryBytes && a.cpu === b.cpu && a.pids === b.pids;
}

/** While a rollout brings others, old and new instances have the wider of both. Null: nothing of it is there. */
function wantedLimits(record: EnvironmentRecord): EnvironmentLimits | null {
  if (record.sets.size === 0) return null;
  const now = record.settings.limits ?? noLimits;
  const coming = record.active === null ? undefined : record.releases.get(record.active)?.settings;
  if (coming === null || coming === undefined) return now;
  const next = coming.limits ?? noLimits;
  if (next === now) return now;
  const wider = (a: number | null, b: number | null): number | null =>
    a === null || b === null ? null : Math.max(a, b);
  return {
    memoryBytes: wider(now.memoryBytes, next.memoryBytes),
    cpu: wider(now.cpu, next.cpu),
    pids: wider(now.pids, next.pids),
  };
}
