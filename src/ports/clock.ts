/** Time from outside, so that the simulator can be the one who tells it. */
export interface Clock {
  /** ms since the epoch; may jump. For records. */
  now(): number;
  /** ms that never go back; for durations and deadlines while the process lives. */
  monotonic(): number;
  /** Calls back once after `ms`; returns the way to cancel. */
  after(ms: number, callback: () => void): () => void;
}
