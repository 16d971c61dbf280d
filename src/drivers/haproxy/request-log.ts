import type { SetName } from "../../model/names.ts";
import type { TrafficCounts } from "../../ports/router.ts";

/** One request as the log tells it. */
export interface RequestLine {
  /** The HAProxy process that wrote it. */
  readonly pid: number;
  /** 1, 2, 3, … per process, in the order written. */
  readonly number: number;
  /** Empty when no route took the request. */
  readonly set: string;
  /** 0 when there was none. */
  readonly status: number;
  /** From the request's first byte to the response's last, in ms. */
  readonly activeMs: number;
  /** HAProxy's two letters: who ended it, and in which phase. */
  readonly termination: string;
}

const space = 0x20;
const zero = 0x30;

/**
 * Reads `PID NUMBER SET STATUS ACTIVE_MS TERMINATION …`; what follows is for people.
 *
 * @returns undefined when the bytes are not such a line
 */
export function parseRequestLine(line: Uint8Array): RequestLine | undefined {
  const buffer = line as Buffer;
  let at = 0;
  const number = (): number => {
    let value = 0;
    const start = at;
    while (at < line.length && line[at] !== space) {
      const digit = (line[at] ?? 0) - zero;
      if (digit < 0 || digit > 9) {
        // "-1" is HAProxy's word for "did not happen"; anything else is no number.
        value = line[start] === 0x2d ? -1 : Number.NaN;
        while (at < line.length && line[at] !== space) at += 1;
        break;
      }
      value = value * 10 + digit;
      at += 1;
    }
    const empty = at === start;
    at += 1;
    return empty ? Number.NaN : value;
  };
  const word = (): string => {
    const start = at;
    while (at < line.length && line[at] !== space) at += 1;
    const text = buffer.toString("latin1", start, at);
    at += 1;
    return text;
  };
  const pid = number();
  const running = number();
  const set = word();
  const status = number();
  const activeMs = number();
  const termination = word();
  if (!(pid > 0) || !(running > 0) || Number.isNaN(status) || Number.isNaN(activeMs) || termination.length < 2)
    return undefined;
  return {
    pid,
    number: running,
    set: set === "-" ? "" : set,
    status: Math.max(0, status),
    activeMs: Math.max(0, activeMs),
    termination,
  };
}

/** Upper bounds of the latency histogram in ms: about 25 % apart, so a quantile read from it is right within that. */
export const latencyBoundsMs: readonly number[] = [
  1,
  2,
  3,
  4,
  5,
  6,
  8,
  10,
  13,
  16,
  20,
  25,
  32,
  40,
  50,
  63,
  80,
  100,
  125,
  160,
  200,
  250,
  320,
  400,
  500,
  630,
  800,
  1000,
  1250,
  1600,
  2000,
  2500,
  3200,
  4000,
  5000,
  6300,
  8000,
  10_000,
  20_000,
  30_000,
  60_000,
  Number.POSITIVE_INFINITY,
];

/** How long a number may be missing before its line counts as lost: lines of two threads cross on their way. */
const patienceMs = 1_000;
/** How long a set's counts are kept when it has no place any more: its last lines may be on their way, and be asked for. */
const keptAfterMs = 2_000;
/** How long a gap is shown before counting begins anew. */
const gapShownMs = 600_000;
/** Most sets and processes kept; the one known longest goes first. */
const mostSets = 1024;
const mostProcesses = 32;

interface Counts {
  requests: number;
  readonly classes: [number, number, number, number, number];
  aborted: number;
  readonly latency: number[];
}

interface Numbering {
  first: number;
  highest: number;
  received: number;
  missingSinceMs: number | null;
}

/** Folds request lines into counts per set, and sees when lines were lost. */
export class TrafficFold {
  readonly #name: string;
  readonly #sets = new Map<string, Counts>();
  readonly #leaving = new Map<string, number>();
  readonly #processes = new Map<number, Numbering>();
  #generation = 0;
  #gapSinceMs: number | null = null;
  #gaps = 0;
  readonly #onGap: (reason: string) => void;

  /** @param name distinguishes this fold's epochs from any other's */
  constructor(name: string, onGap: (reason: string) => void = () => {}) {
    this.#name = name;
    this.#onGap = onGap;
  }

  /** @param nowMs monotonic */
  add(line: RequestLine, nowMs: number): void {
    this.#follow(line, nowMs);
    if (line.set === "") return;
    const counts = this.#countsOf(line.set);
    counts.requests += 1;
    const { status, termination } = line;
    if (status >= 100 && status < 600) increment(counts.classes, Math.floor(status / 100) - 1);
    const brokenOff = termination[0] !== "-" && termination[1] === "D" && status !== 101;
    if (status < 100 || brokenOff) counts.aborted += 1;
    // A connection that was upgraded lasts as long as its user likes: not a latency.
    if (status !== 101) increment(counts.latency, bucketOf(line.activeMs));
  }

  /** Looks for lines that are overdue; to be called about each second. */
  check(nowMs: number): void {
    for (const [set, sinceMs] of this.#leaving) {
      if (nowMs - sinceMs < keptAfterMs) continue;
      this.#leaving.delete(set);
      this.#sets.delete(set);
    }
    if (this.#gapSinceMs !== null && nowMs - this.#gapSinceMs > gapShownMs) this.#beginAnew();
    for (const [pid, numbering] of this.#processes) {
      if (numbering.missingSinceMs === null || nowMs - numbering.missingSinceMs < patienceMs) continue;
      const lost = numbering.highest - numbering.first + 1 - numbering.received;
      this.gap(`${lost} lines of process ${pid} are missing`, nowMs);
      numbering.received += lost;
      numbering.missingSinceMs = null;
    }
  }

  /** Records that lines were lost. */
  gap(reason: string, nowMs: number): void {
    this.#gapSinceMs = nowMs;
    this.#gaps += 1;
    this.#onGap(reason);
  }

  counts(): ReadonlyMap<SetName, TrafficCounts> {
    const result = new Map<SetName, TrafficCounts>();
    for (const [set, counts] of this.#sets) {
      const [c1, c2, c3, c4, c5] = counts.classes;
      result.set(set as SetName, {
        epoch: `${this.#name}-${this.#generation}`,
        requests: counts.requests,
        status: { "1xx": c1, "2xx": c2, "3xx": c3, "4xx": c4, "5xx": c5 },
        aborted: counts.aborted,
        gap: this.#gapSinceMs !== null,
        gaps: this.#gaps,
        latency: { boundsMs: latencyBoundsMs, counts: [...counts.latency] },
      });
    }
    return result;
  }

  /** Begins to count a set, so that it is there with zeros before its first request. */
  know(set: SetName): void {
    this.#leaving.delete(set);
    this.#countsOf(set);
  }

  /** Ends counting a set, some time from now. @param nowMs monotonic */
  forget(set: SetName, nowMs: number): void {
    if (this.#sets.has(set)) this.#leaving.set(set, nowMs);
  }

  #beginAnew(): void {
    this.#generation += 1;
    this.#gapSinceMs = null;
    this.#gaps = 0;
    const known = [...this.#sets.keys()];
    this.#sets.clear();
    for (const set of known) this.#countsOf(set);
  }

  #countsOf(set: string): Counts {
    let counts = this.#sets.get(set);
    if (counts === undefined) {
      if (this.#sets.size >= mostSets) dropFirst(this.#sets);
      counts = { requests: 0, classes: [0, 0, 0, 0, 0], aborted: 0, latency: latencyBoundsMs.map(() => 0) };
      this.#sets.set(set, counts);
    }
    return counts;
  }

  #follow(line: RequestLine, nowMs: number): void {
    let numbering = this.#processes.get(line.pid);
    if (numbering === undefined) {
      if (this.#processes.size >= mostProcesses) dropFirst(this.#processes);
      numbering = { first: line.number, highest: line.number, received: 0, missingSinceMs: null };
      this.#processes.set(line.pid, numbering);
    }
    numbering.received += 1;
    // At the very start a line may arrive after its successor; later such a line was counted as lost already.
    if (line.number < numbering.first) numbering.first = line.number;
    if (line.number > numbering.highest) numbering.highest = line.number;
    const missing = numbering.highest - numbering.first + 1 > numbering.received;
    if (!missing) numbering.missingSinceMs = null;
    else numbering.missingSinceMs ??= nowMs;
  }
}

function bucketOf(ms: number): number {
  let low = 0;
  let high = latencyBoundsMs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ms <= (latencyBoundsMs[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function increment(counters: number[], index: number): void {
  counters[index] = (counters[index] ?? 0) + 1;
}

function dropFirst<K>(map: Map<K, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
