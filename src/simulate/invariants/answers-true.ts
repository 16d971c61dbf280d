import { OperatorError } from "../../errors/operator-error.ts";
import type { ReleaseOutcome } from "../../controller/begin.ts";
import { actText } from "../acts.ts";
import type { Act } from "../story.ts";
import type { Invariant } from "./invariant.ts";

/** Who asks is answered while the daemon lives: that it is so when it is, else why not, in an error for people. */
export const answersTrue: Invariant = {
  name: "answers-true",
  watch(stage, fail) {
    const open: Act[] = [];
    return {
      started: () => void open.splice(0),
      asked(act, times) {
        for (let time = 0; time < times; time += 1) open.push(act);
      },
      answer(act, outcome) {
        const at = open.indexOf(act);
        if (at >= 0) open.splice(at, 1);
        if ("error" in outcome) {
          const { error } = outcome;
          if (!(error instanceof OperatorError) || error.code === "INTERNAL")
            fail(
              `${act.kind} is answered with ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
            );
          return;
        }
        if (act.kind !== "deploy" && act.kind !== "rollback") return;
        const { number } = (outcome.result as ReleaseOutcome).release;
        const release = stage.record?.releases.get(number);
        if (release?.rollout !== "completed")
          fail(`${act.kind} is answered with v${number}, whose rollout is ${release?.rollout ?? "unknown"}`);
      },
      rest() {
        if (open.length > 0) fail(`never answered: ${open.map(actText).join("; ")}`);
      },
    };
  },
};
