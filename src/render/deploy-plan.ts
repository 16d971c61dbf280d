import type { DeployPlan, PlannedStep } from "../model/api/rollouts.ts";
import { formatDuration } from "../model/quantities.ts";
import { weightText } from "../model/strategy.ts";
import { renderTable } from "./table.ts";

/** What a deploy would do, step by step. */
export function renderDeployPlan(plan: DeployPlan): readonly string[] {
  const { app, environment, release, live, strategy, because, way, steps, stopsFor, keepWarmMs } = plan;
  const [coming, old] = [`v${release}`, `v${live ?? 0}`];
  const head = `${coming} of ${app} in ${environment}`;
  const count = steps.at(-1)?.coming ?? 0;
  const all = `${count} ${count === 1 ? "instance" : "instances"}`;
  switch (way) {
    case "none":
      return [`nothing to do: ${old} of ${app} in ${environment} is this content already`];
    case "first":
      return [`${head}: nothing is live, so it starts with ${all} and has all requests when they are ready`];
    case "stop-first": {
      const because =
        stopsFor.length === 0 ? "by recreate" : `stop-first for ${stopsFor.join(", ")}, which only one may have`;
      return [`${head}, ${because}: requests wait, ${old} ends, ${coming} starts with ${all} and has all requests`];
    }
    case "steps":
      return [
        `${head}, by ${strategy}${because === undefined ? "" : ` (${because})`}, from ${old}; when all goes well:`,
        ...renderTable([
          ["STEP", coming, old, "REQUESTS", "THEN"],
          ...steps.map((step) => [
            step.step === null ? "live" : String(step.step),
            String(step.coming),
            String(step.live),
            weightText(step.weight),
            step.step === null ? afterText(old, step, keepWarmMs) : thenText(step),
          ]),
        ]).map((line) => `  ${line}`),
      ];
  }
}

function thenText({ holdMs, analyse }: PlannedStep): string {
  const hold = holdMs === null ? "a person resumes" : holdMs === 0 ? "" : `${formatDuration(holdMs)} pass`;
  return [hold, analyse ? "its analysis passes" : ""].filter((part) => part !== "").join(", ") || "they are ready";
}

function afterText(old: string, { live }: PlannedStep, keepWarmMs: number): string {
  if (live === 0) return "";
  return keepWarmMs === 0 ? `${old} ends` : `${old} stands by for ${formatDuration(keepWarmMs)}`;
}
