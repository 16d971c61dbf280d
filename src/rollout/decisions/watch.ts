import { judgeWatch, watchText, type TrafficShare } from "../watch.ts";

/** A release under watch. */
export interface WatchInputs {
  readonly type: "deploy" | "rollback";
  readonly recent: TrafficShare;
  readonly baseline: TrafficShare;
  /** In words, when none of its instances works; null: some do. */
  readonly down: string | null;
  /** The release it replaced; null: none. */
  readonly to: number | null;
  /** What its release command did stays when it goes. */
  readonly irreversible: boolean;
  readonly warned: boolean;
  readonly held: boolean;
  readonly watchedMs: number;
  readonly watchMs: number;
}

export interface WatchOutcome {
  readonly verdict: "take back" | "hold" | "warn" | "prove" | "wait";
  readonly reason: string;
}

/** What becomes of a release under watch. */
export function decideWatch(inputs: WatchInputs): WatchOutcome {
  const { type, recent, baseline, down, to, irreversible, warned, held, watchedMs, watchMs } = inputs;
  const rule = judgeWatch(recent, baseline);
  if (rule.fires || down !== null) {
    const reason = rule.fires ? watchText(rule.figures) : (down ?? "");
    const goesBack = to !== null && type === "deploy";
    if (goesBack && irreversible) return held ? wait : { verdict: "hold", reason };
    // A first deploy has nothing to go back to; a rollback brought back what is wanted: both are only warned about.
    if (goesBack) return { verdict: "take back", reason };
    if (!warned) return { verdict: "warn", reason };
  }
  // What is held waits for a person: time alone proves nothing any more.
  return !held && watchedMs >= watchMs ? { verdict: "prove", reason: watchText(rule.figures) } : wait;
}

const wait: WatchOutcome = { verdict: "wait", reason: "" };

export function watchSentence({ to }: WatchInputs, { verdict, reason }: WatchOutcome): string {
  switch (verdict) {
    case "take back":
      return `taken back to v${to ?? 0}: ${reason}`;
    case "hold":
      return `held for a person, as its release command cannot be undone: ${reason}`;
    case "warn":
      return `it looks bad and nothing is gone back to: ${reason}`;
    case "prove":
      return `proven: the watch's rule did not fire (${reason})`;
    case "wait":
      return "it is watched";
  }
}
