import type { EventData } from "../ledger/event.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import type { SetName } from "../model/names.ts";
import type { TrafficShare } from "../rollout/watch.ts";
import { addSample, emptyWindow, shareOf, type TrafficWindow } from "../rollout/window.ts";
import { countsNow, measureRollout, type CountsAt } from "./measure.ts";
import type { ControllerPorts } from "./ports.ts";
import type { Recorder } from "./recorder.ts";

export interface TrafficWatchOptions {
  readonly ports: Pick<ControllerPorts, "router" | "clock">;
  readonly recorder: Recorder;
  readonly signal: AbortSignal;
  readonly warn: (message: string, thrown: unknown) => void;
}

/** An end of a rollout, and the set that it replaced. */
type RolloutEnd = Extract<EventData, { kind: "traffic.switched" | "rollout.aborted" }> & {
  readonly from: SetName | null;
};

/** What sets answered lately, and what clients had of each rollout since it was asked for. In memory alone. */
export class TrafficWatch {
  readonly #options: TrafficWatchOptions;
  readonly #windows = new Map<SetName, TrafficWindow>();
  readonly #askedAt = new Map<string, number>();
  readonly #countsAt = new Map<string, CountsAt>();

  constructor(options: TrafficWatchOptions) {
    this.#options = options;
  }

  /** Takes the router's counts; to be called a few times a second. */
  sample(): void {
    const { ports, recorder } = this.#options;
    const now = ports.clock.now();
    const traffic = ports.router.traffic();
    const { environments } = recorder.state;
    let known = 0;
    for (const { sets } of environments.values()) {
      for (const { name, role } of sets.values()) {
        const window = this.#windows.get(name);
        const counts = role === "ending" ? undefined : traffic.get(name);
        if (counts !== undefined) this.#windows.set(name, addSample(window ?? emptyWindow, counts, now));
        if (counts !== undefined || window !== undefined) known += 1;
      }
    }
    // Nearly always all of them are of sets that there are.
    if (known === this.#windows.size) return;
    const there = new Set([...environments.values()].flatMap(({ sets }) => [...sets.keys()]));
    for (const name of this.#windows.keys()) if (!there.has(name)) this.#windows.delete(name);
  }

  /** Requests and 5xx of a set in the stretch before now, and not before a moment. */
  share(set: SetName, stretchMs: number, sinceMs = 0): TrafficShare {
    const window = this.#windows.get(set);
    return window === undefined
      ? { requests: 0, errors: 0 }
      : shareOf(window, stretchMs, sinceMs, this.#options.ports.clock.now());
  }

  /** Remembers when a release was asked for, so that its time counts from there. @param askedAtMs monotonic */
  asked(record: EnvironmentRecord, release: number, askedAtMs: number): void {
    const key = keyOf(record, release);
    this.#askedAt.set(key, askedAtMs);
    this.#countsAt.set(key, countsNow(this.#options.ports.router));
  }

  /** When a release was asked for, monotonic ms; undefined where a daemon before this one was asked. */
  askedAt(record: EnvironmentRecord, release: number): number | undefined {
    return this.#askedAt.get(keyOf(record, release));
  }

  /** Records what clients had of a rollout that has just ended, once the replaced set has nothing in flight. */
  async measure(end: RolloutEnd): Promise<void> {
    const { ports, recorder, signal, warn } = this.#options;
    const { app, environment, release } = end;
    const record = recorder.state.environments.get(environmentKey(app, environment));
    const key = `${environmentKey(app, environment)} ${release}`;
    const start = this.#countsAt.get(key);
    this.#countsAt.delete(key);
    this.#askedAt.delete(key);
    const released = record?.releases.get(release);
    if (start === undefined || record === undefined || released === undefined) return;
    try {
      const measured = await measureRollout({
        router: ports.router,
        clock: ports.clock,
        record,
        release: released,
        replaced: end.from,
        start,
        signal,
      });
      if (measured !== null) recorder.append({ kind: "rollout.measured", app, environment, release, ...measured });
    } catch (error) {
      warn(`cannot measure the rollout of ${key}`, error);
    }
  }
}

function keyOf({ app, environment }: EnvironmentRecord, release: number): string {
  return `${environmentKey(app, environment)} ${release}`;
}
