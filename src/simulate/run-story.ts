import { actText, perform } from "./acts.ts";
import { Daemons, type Changes } from "./daemons.ts";
import { createFaults, faultText } from "./faults.ts";
import { invariants } from "./invariants/all.ts";
import type { Invariant } from "./invariants/invariant.ts";
import { createLoad } from "./load.ts";
import { settingsFor } from "../ledger/state.ts";
import { isAtRest } from "./rest.ts";
import { Stage, type Tally, type Violation } from "./stage.ts";
import type { Act, Story } from "./story.ts";
import type { Timings } from "./timings.ts";

export interface RunOptions {
  readonly changes?: Changes;
  /** Default: all. */
  readonly invariants?: readonly Invariant[];
  /** Keeps what happened, for people. */
  readonly tells?: boolean;
  /** The ledger is chained and kept as on disk, at a cost; default: not. */
  readonly exactly?: boolean;
  /** Goes on to the end of the story however much has happened before; default: not. */
  readonly whole?: boolean;
  /** Starts, removals, changes of the router and appends take such times, drawn by the story's seed; default: none. */
  readonly timings?: Timings;
}

export interface Run {
  readonly tally: Tally;
  /** The first that was broken; null: all held. */
  readonly violation: Violation | null;
  /** Acts and faults of the story that came about. */
  readonly begun: { readonly acts: number; readonly faults: number };
  readonly told: Stage["told"];
  readonly stage: Stage;
}

/** A run has come far enough when so much has happened. */
export const enough = { steps: 500, rollouts: 3, faults: 5 };
/** How often it is asked whether a run has come far enough, in ms. */
const tellStepMs = 250;
/** Longest time for all to come to rest when nothing goes wrong any more, in ms. */
const restMs = 400_000;
const restStepMs = 500;
/** Longest time that a daemon takes to end what it has begun when it is told to stop, in ms. */
const stopMs = 60_000;
/** Nothing may change for so long for it to count as rest, in ms. */
const quietMs = 1_500;

/** Runs a story to its end, or to the first invariant that does not hold. Equal stories run equally. */
export async function runStory(story: Story, options: RunOptions = {}): Promise<Run> {
  const { stackTraceLimit } = Error;
  // Many errors are made and none is read: where they come from is told with what happened.
  if (options.tells !== true) Error.stackTraceLimit = 0;
  try {
    return await play(story, options);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function play(story: Story, options: RunOptions): Promise<Run> {
  const stage = new Stage(story, {
    invariants: options.invariants ?? invariants,
    tells: options.tells === true,
    exactly: options.exactly === true,
    timings: options.timings ?? null,
  });
  const { clock, tally } = stage;
  const waiting: Act[] = [];
  const begun = { acts: 0, faults: 0 };
  const ask = (act: Act): void => {
    const { controller, life } = stage;
    if (controller === null || life === null) return void waiting.push(act);
    stage.tell(() => `ada asks: ${actText(act)}`);
    const times = act.kind === "deploy" && act.twice ? 2 : 1;
    for (const watcher of stage.watchers) watcher.asked?.(act, times);
    for (let time = 0; time < times; time += 1) {
      perform(controller, stage, act).then(
        (result) => life.dead || stage.answered(act, { result }),
        (error: unknown) => life.dead || stage.answered(act, { error }),
      );
    }
  };
  const daemons: Daemons = new Daemons(
    stage,
    options.changes ?? {},
    () => faults,
    () => {
      for (const act of waiting.splice(0)) ask(act);
    },
  );
  const faults = createFaults(stage, daemons);
  const load = createLoad(stage);
  /** @param ahead steps that are still to be expected */
  const isEnough = (ahead: () => number): boolean =>
    options.whole !== true &&
    tally.rollouts >= enough.rollouts &&
    tally.faults >= enough.faults &&
    tally.steps + ahead() >= enough.steps;
  const none = (): number => 0;
  const isBroken = (): boolean => stage.violations.length > 0;
  /** Times in which all came to rest before there was enough, and the story went on: it counts its time without them. */
  let restedMs = 0;

  daemons.start();
  load.start();
  // What was expected once and did not come is not expected again.
  const isTold = (): boolean => isEnough(restedMs === 0 ? () => stepsAhead(stage) : none);
  const stops = (): boolean => isBroken() || isTold();
  /** @returns whether there is more of the story */
  async function tellOn(): Promise<boolean> {
    while (!isBroken()) {
      const act = story.acts[begun.acts];
      const fault = story.faults[begun.faults];
      if (act === undefined && fault === undefined) return false;
      if (isTold()) return true;
      const isFault = act === undefined || (fault !== undefined && fault.atMs < act.atMs);
      const next = isFault ? fault : act;
      if (next === undefined) return false;
      const dueMs = next.atMs + restedMs;
      await clock.advanceUnless(stops, tellStepMs, Math.max(0, dueMs - stage.nowMs));
      if (stage.nowMs < dueMs) continue;
      if (isFault && fault !== undefined) {
        begun.faults += 1;
        stage.tell(() => `fault: ${faultText(fault)}`);
        if (faults.strike(fault)) tally.faults += 1;
      } else if (act !== undefined) {
        begun.acts += 1;
        ask(act);
      }
    }
    return false;
  }
  for (let hasMore = true; hasMore && !isBroken();) {
    hasMore = await tellOn();
    if (isBroken()) break;
    const atMs = stage.nowMs;
    await rest(stage, daemons, faults);
    restedMs += stage.nowMs - atMs;
    hasMore &&= !isEnough(none);
    if (hasMore) stage.tell(() => "too little has happened: things go wrong again");
    stage.isOver = !hasMore;
  }
  load.stop();
  if (!isBroken()) await end(stage);
  return { tally, violation: stage.violations[0] ?? null, begun, told: stage.told, stage };
}

/** Steps that are still to be expected until all has come to rest: found by a regression over some hundred runs, and a little fewer. */
function stepsAhead({ record, machine, active }: Stage): number {
  if (record === undefined) return 0;
  let steps = 2.5 * (active === undefined ? 0 : (active.settings ?? record.settings).instances);
  let missing = record.live === null ? 0 : settingsFor(record, record.live.set).instances;
  for (const { seen } of machine.instances()) {
    const set = record.sets.get(seen.set);
    if (set === undefined || set.condemned.has(seen.name)) steps += 1.3;
    else if (set.role === "live") missing -= 1;
    else if (set.role === "leaving") steps += 3;
    else if (set.role !== "next") steps += 1.3;
  }
  return steps + 1.4 * Math.max(0, missing);
}

/** Nobody leaves a rollout standing still for ever. */
function resume(stage: Stage): void {
  const { controller, active } = stage;
  if (controller === null || active === undefined || active.progress.paused === null) return;
  perform(controller, stage, { atMs: stage.nowMs, kind: "resume" }).catch(() => {});
}

/** Nothing goes wrong any more: all has to come to rest. */
async function rest(stage: Stage, daemons: Daemons, faults: { clear(): void }): Promise<void> {
  const { clock } = stage;
  stage.tell(() => "nothing goes wrong any more");
  stage.isOver = true;
  faults.clear();
  daemons.spare();
  const lastMs = stage.nowMs + restMs;
  let quietSinceMs: number | null = null;
  while (stage.nowMs < lastMs && stage.violations.length === 0) {
    await clock.advance(restStepMs);
    resume(stage);
    if (!isAtRest(stage)) quietSinceMs = null;
    else quietSinceMs ??= stage.nowMs;
    if (quietSinceMs !== null && stage.nowMs - quietSinceMs >= quietMs) break;
  }
  for (const watcher of stage.watchers) watcher.rest?.();
}

/** The daemon is told to end, and does. */
async function end(stage: Stage): Promise<void> {
  let ended = stage.controller === null;
  void stage.controller?.stop().then(() => (ended = true));
  await stage.clock.until(() => ended, stopMs);
  for (const watcher of stage.watchers) watcher.ended?.(ended);
}
