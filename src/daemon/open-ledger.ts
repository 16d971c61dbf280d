import { Recorder } from "../controller/recorder.ts";
import { createSystemClock, readBoot } from "../drivers/system/clock.ts";
import { foldEvents } from "../ledger/fold.ts";
import type { LedgerState } from "../ledger/state.ts";
import { resumeAt, type Boot } from "../ledger/timeline.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal } from "../ports/journal.ts";

export interface OpenLedger {
  readonly state: LedgerState;
  readonly boot: Boot;
  /** Goes on where the ledger's timeline ended. */
  readonly clock: Clock;
  readonly recorder: Recorder;
}

/** Folds a journal and goes on from there: the state, the time it is, and who writes what comes next. */
export function openLedger(journal: Journal): OpenLedger {
  const state = foldEvents(journal.read());
  const boot = readBoot();
  const clock = createSystemClock(resumeAt(state.timeline, boot, Date.now()));
  return { state, boot, clock, recorder: new Recorder(journal, clock, state) };
}
