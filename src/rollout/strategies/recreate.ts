import { planBlueGreen } from "./blue-green.ts";
import type { StrategyInput, StrategyPlan } from "./shape.ts";

/** What was live has ended by the time the first instance starts; then all at once, as requests wait for it. */
export function planRecreate(input: StrategyInput): StrategyPlan {
  return planBlueGreen({ holdMs: 0 }, input);
}
