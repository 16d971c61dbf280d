import type { Strategy } from "../../model/strategy.ts";
import { planBlueGreen } from "./blue-green.ts";
import { planCanary } from "./canary.ts";
import { planRecreate } from "./recreate.ts";
import { planRolling } from "./rolling.ts";
import type { StrategyInput, StrategyPlan } from "./shape.ts";

/** What a strategy wants now. Equal input gives an equal plan. */
export function planStrategy(strategy: Strategy, input: StrategyInput): StrategyPlan {
  switch (strategy.kind) {
    case "recreate":
      return planRecreate(input);
    case "rolling":
      return planRolling(strategy, input);
    case "blue-green":
      return planBlueGreen(strategy, input);
    case "canary":
      return planCanary(strategy, input);
  }
}
