/**
 * The ledger's own time. Stamps of events are the time of day, which may be set forward or back under a running system;
 * a deadline must not care. So the ledger records each jump, and moments that are compared with "now" are kept on a
 * timeline without the jumps: `stamp − sum of the jumps before it`.
 */
export interface Timeline {
  /** Sum of all recorded jumps of the machine's clock, in ms: stamp = moment + offset. */
  offsetMs: number;
  /** Moment of the newest event. */
  lastMs: number;
  /** The newest daemon's start: on the same boot, time goes on from it by the machine's uptime. */
  boot: (Boot & { readonly atMs: number }) | null;
}

/** A boot of the machine, and ms since it began. */
export interface Boot {
  readonly id: string;
  readonly upMs: number;
}

export const timelineStart: Readonly<Timeline> = { offsetMs: 0, lastMs: 0, boot: null };

/** Differences below this between the timeline and the machine's clock are slewing, not a jump, in ms. */
const jumpMs = 1_000;

/**
 * How far the machine's clock has jumped since the last recorded jump, in ms; 0: it has not.
 *
 * @param nowMs moment on the timeline
 * @param wallMs what the machine's clock says at that moment
 */
export function jumpOf(timeline: Readonly<Timeline>, nowMs: number, wallMs: number): number {
  const byMs = Math.round(wallMs - nowMs - timeline.offsetMs);
  return Math.abs(byMs) < jumpMs ? 0 : byMs;
}

/**
 * The moment it is for a daemon that takes over. On the boot of the one before it the uptime tells how long that was ago;
 * after a reboot only the machine's clock can, and never that time went back.
 */
export function resumeAt(timeline: Readonly<Timeline>, boot: Boot, wallMs: number): number {
  const { boot: before, lastMs, offsetMs } = timeline;
  const known = before !== null && before.id === boot.id && boot.upMs >= before.upMs;
  return Math.max(lastMs, known ? before.atMs + (boot.upMs - before.upMs) : wallMs - offsetMs);
}
