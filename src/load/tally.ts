import type { Done } from "./clients.ts";
import { kinds, type Kind, type KindReport, type LoadReport } from "./protocol.ts";

interface Row {
  requests: number;
  failed: number;
  readonly reasons: Map<string, number>;
  readonly latencies: number[];
}

const maxExamples = 20;

/** Counts what came of requests; one per load run, emptied when the measured window opens. */
export class Tally {
  readonly #rows = new Map<Kind, Row>();
  readonly #versions = new Map<string, number>();
  readonly #uploaded: string[] = [];
  readonly #uploadFailures: string[] = [];
  readonly #examples: string[] = [];
  readonly #atMarks: number[] = [];
  readonly #openedAt = performance.now();
  #open: number;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  /** @param open requests that are in flight already: they are counted when they end */
  constructor(open: number) {
    this.#open = open;
  }

  get open(): number {
    return this.#open;
  }

  /** Requests that have ended in this window. */
  get ended(): number {
    let ended = 0;
    for (const row of this.#rows.values()) ended += row.requests;
    return ended;
  }

  begin(): void {
    this.#open += 1;
  }

  end(kind: Kind, done: Done, latencyMs: number): void {
    this.#open -= 1;
    let row = this.#rows.get(kind);
    if (row === undefined) {
      row = { requests: 0, failed: 0, reasons: new Map(), latencies: [] };
      this.#rows.set(kind, row);
    }
    row.requests += 1;
    if (done.fault === undefined) {
      row.latencies.push(latencyMs);
      if (done.version !== undefined) add(this.#versions, done.version);
      if (done.nonce !== undefined) this.#uploaded.push(done.nonce);
      return;
    }
    row.failed += 1;
    add(row.reasons, done.fault);
    if (done.nonce !== undefined) this.#uploadFailures.push(done.nonce);
    if (this.#examples.length < maxExamples) {
      const at = Math.round(performance.now() - this.#openedAt);
      this.#examples.push(
        `${at} ms: ${kind}: ${done.fault}${done.instance === undefined ? "" : ` from ${done.instance}`}`,
      );
    }
  }

  sample(): void {
    this.#min = Math.min(this.#min, this.#open);
    this.#max = Math.max(this.#max, this.#open);
  }

  mark(): void {
    this.#atMarks.push(this.#open);
  }

  report(): LoadReport {
    const rows: KindReport[] = [];
    for (const kind of kinds) {
      const row = this.#rows.get(kind);
      if (row === undefined) continue;
      const sorted = row.latencies.sort((a, b) => a - b);
      rows.push({
        kind,
        requests: row.requests,
        failed: row.failed,
        reasons: sortedRecord(row.reasons),
        latencyMs: { p50: rank(sorted, 0.5), p95: rank(sorted, 0.95), p99: rank(sorted, 0.99), max: rank(sorted, 1) },
      });
    }
    return {
      requests: rows.reduce((sum, row) => sum + row.requests, 0),
      failed: rows.reduce((sum, row) => sum + row.failed, 0),
      kinds: rows,
      versions: sortedRecord(this.#versions),
      inFlight: { min: Number.isFinite(this.#min) ? this.#min : this.#open, max: this.#max, atMarks: this.#atMarks },
      uploaded: this.#uploaded,
      uploadFailures: this.#uploadFailures,
      examples: this.#examples,
      elapsedMs: performance.now() - this.#openedAt,
    };
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Nearest-rank percentile of sorted values, to a hundredth; 0 of none. */
export function rank(sorted: readonly number[], share: number): number {
  return round(sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function sortedRecord(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
