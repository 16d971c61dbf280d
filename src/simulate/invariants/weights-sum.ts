import { weightsOf } from "../../model/route-rule.ts";
import { wholeWeight } from "../../model/strategy.ts";
import type { RouteRule } from "../../model/observation.ts";
import type { Invariant } from "./invariant.ts";

/** The shares of a route's sets are whole parts of 10,000, none below 0, and together all of them; each set has one. */
export const weightsSum: Invariant = {
  name: "weights-sum",
  watch(stage, fail) {
    function judge(rule: RouteRule): void {
      const shares = weightsOf(rule);
      const sum = shares.reduce((total, { weight }) => total + weight, 0);
      const isWhole = shares.every(({ weight }) => Number.isInteger(weight) && weight >= 0 && weight <= wholeWeight);
      if (!isWhole || sum !== wholeWeight || new Set(shares.map(({ set }) => set)).size !== shares.length)
        fail(`shares ${shares.map(({ set, weight }) => `${set} ${weight}`).join(", ")}`);
    }
    let judged: readonly RouteRule[] = [];
    return {
      issued(effect) {
        if (effect.kind === "route" && effect.rule !== null) judge(effect.rule);
      },
      look() {
        const rules = stage.router.rules();
        if (rules === judged) return;
        judged = rules;
        for (const rule of rules) if (rule.canaries !== undefined) judge(rule);
      },
    };
  },
};
