import type { SetName } from "../../model/names.ts";
import type { TrafficCounts } from "../../ports/router.ts";

const boundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, Number.POSITIVE_INFINITY];

interface Tally {
  requests: number;
  readonly classes: [number, number, number, number, number];
  aborted: number;
  readonly latency: number[];
}

/** What the router in memory answered, by set. Counts that nobody changed are told as the very object of last time. */
export class MemoryRequestLog {
  #tallies = new Map<SetName, Tally>();
  readonly #changed = new Set<SetName>();
  #told: ReadonlyMap<SetName, TrafficCounts> = new Map();
  #gaps = 0;
  #epoch = 1;

  /** @param status null: broken off */
  add(set: SetName, status: number | null, latencyMs: number): void {
    let counts = this.#tallies.get(set);
    if (counts === undefined) {
      counts = { requests: 0, classes: [0, 0, 0, 0, 0], aborted: 0, latency: boundsMs.map(() => 0) };
      this.#tallies.set(set, counts);
    }
    this.#changed.add(set);
    counts.requests += 1;
    if (status === null) counts.aborted += 1;
    else increment(counts.classes, Math.floor(status / 100) - 1);
    let bucket = 0;
    while (latencyMs > (boundsMs[bucket] ?? latencyMs)) bucket += 1;
    increment(counts.latency, bucket);
  }

  /** From now on lines are missing. */
  lose(): void {
    this.#gaps += 1;
    for (const set of this.#tallies.keys()) this.#changed.add(set);
  }

  /** Counting begins anew. */
  restart(): void {
    this.#tallies = new Map();
    this.#changed.clear();
    this.#told = new Map();
    this.#gaps = 0;
    this.#epoch += 1;
  }

  counts(): ReadonlyMap<SetName, TrafficCounts> {
    if (this.#changed.size === 0) return this.#told;
    const told = new Map(this.#told);
    for (const set of this.#changed) {
      const tally = this.#tallies.get(set);
      if (tally === undefined) continue;
      const [c1, c2, c3, c4, c5] = tally.classes;
      told.set(set, {
        epoch: String(this.#epoch),
        requests: tally.requests,
        status: { "1xx": c1, "2xx": c2, "3xx": c3, "4xx": c4, "5xx": c5 },
        aborted: tally.aborted,
        gap: this.#gaps > 0,
        gaps: this.#gaps,
        latency: { boundsMs, counts: [...tally.latency] },
      });
    }
    this.#changed.clear();
    this.#told = told;
    return told;
  }
}

function increment(counters: number[], index: number): void {
  counters[index] = (counters[index] ?? 0) + 1;
}
