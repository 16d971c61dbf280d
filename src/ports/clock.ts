/** Time from outside, so that the simulator can be the one who tells it. */
export interface Clock {
  /**
   * Whole ms on the ledger's timeline: it began as the time of day, never jumps whatever is done to the machine's clock, and
   * goes on where it was when a daemon takes over from another. For every deadline that is compared with a recorded moment.
   */
  now(): number;
  /** ms since the epoch, as the machine says; may jump. For what people read. */
  wall(): number;
  /** ms that never go back; for durations while the process lives. */
  monotonic(): number;
  /** Calls back once after `ms`; returns the way to cancel. */
  after(ms: number, callback: () => void): () => void;
}
