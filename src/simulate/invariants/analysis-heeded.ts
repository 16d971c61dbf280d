import type { LedgerEvent } from "../../ledger/event.ts";
import type { ReleaseRecord } from "../../ledger/state.ts";
import type { Analysis } from "../../model/analysis.ts";
import type { Strategy } from "../../model/strategy.ts";
import { traitsOf } from "../contents.ts";
import type { Invariant } from "./invariant.ts";

/** How far the rollout of a release is, by what the ledger says. */
interface Reached {
  readonly step: number;
  /** Its analysis let it go on from there. */
  readonly isPassed: boolean;
}

/**
 * No rollout goes past a step that is analysed unless the ledger says that its analysis was passed or skipped, or that a person
 * wanted it so; and nothing passes by itself of which each measurement was bad.
 */
export const analysisHeeded: Invariant = {
  name: "analysis-heeded",
  watch(stage, fail) {
    const reached = new Map<number, Reached>();

    function judge({ data }: LedgerEvent): void {
      if (data.kind !== "rollout.stepped" && data.kind !== "traffic.switched" && data.kind !== "decision.made") return;
      const release = stage.record?.releases.get(data.release);
      const before = reached.get(data.release);
      note({ data } as LedgerEvent);
      if (release === undefined || before === undefined) return;
      const strategy = (release.settings ?? stage.record?.settings)?.strategy;
      const analysis = strategy === undefined ? undefined : analysisOf(strategy, before.step);
      if (analysis === undefined || stage.isOver) return;
      if (data.kind === "decision.made") {
        if (isPassing(data) && !isByPerson(data.outcome) && isBad(release, analysis))
          fail(`v${data.release} passed its analysis, and each measurement of it was bad`);
      } else if (!before.isPassed && !release.progress.hurried && release.progress.analysis !== "skipped")
        fail(`v${data.release} went past step ${before.step}, which its analysis has not passed`);
    }

    function note({ data }: LedgerEvent): void {
      if (data.kind === "rollout.stepped") reached.set(data.release, { step: data.step, isPassed: false });
      else if (data.kind === "decision.made" && isPassing(data)) {
        const { step = 0 } = reached.get(data.release) ?? {};
        reached.set(data.release, { step, isPassed: true });
      }
    }

    function isBad({ content }: ReleaseRecord, { metrics }: Analysis): boolean {
      return (
        traitsOf(stage.story, content).measured === "badly" &&
        metrics.some(({ provider, failureLimit }) => provider.kind === "command" && failureLimit === 0)
      );
    }

    return {
      event: judge,
      powerCut() {
        reached.clear();
        for (const event of stage.journal.read()) note(event);
      },
    };
  },
};

/** What is measured before a step may be left; undefined: nothing. */
function analysisOf(strategy: Strategy, step: number): Analysis | undefined {
  switch (strategy.kind) {
    case "canary":
      return strategy.steps[step - 1]?.analyse === true ? strategy.analysis : undefined;
    case "blue-green":
      return strategy.analysis;
    default:
      // What is measured beside a rolling rollout holds nothing up.
      return undefined;
  }
}

type Decision = Extract<LedgerEvent["data"], { kind: "decision.made" }>;

function isPassing({ rule, outcome }: Decision): boolean {
  return rule === "analysis" && (outcome as { readonly verdict?: unknown }).verdict === "go on";
}

function isByPerson(outcome: Decision["outcome"]): boolean {
  return String((outcome as { readonly reason?: unknown }).reason).startsWith("a person");
}
