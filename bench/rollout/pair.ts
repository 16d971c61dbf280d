import { defaultAnalysis } from "../../src/model/analysis.ts";
import type { Digest } from "../../src/model/canonical.ts";
import type { Strategy } from "../../src/model/strategy.ts";
import { nodeProject, type Bronze } from "../lib/bronze.ts";
import { nodeCopies } from "../rollback/pair.ts";

export const instances = 4;

/** Two versions of the demo app; the second answers a share of its requests with 500. */
export async function versions(bronze: Bronze, badShare = 0): Promise<readonly [Digest, Digest]> {
  const second = nodeProject("2");
  const behaviour = second["behaviour.js"] ?? "";
  const mayAnswer = badShare === 0 ? "() => true" : `() => Math.random() >= ${badShare}`;
  const changed = {
    ...second,
    "behaviour.js": behaviour.replace("mayAnswer = () => true", `mayAnswer = ${mayAnswer}`),
  };
  return [
    await bronze.build("node-1", nodeProject("1"), nodeCopies),
    await bronze.build("node-2", changed, nodeCopies),
  ];
}

/** A canary whose steps are held for as long; null: until a person resumes. Analysed as one is where nobody says how. */
export function canary(percents: readonly number[], holdMs: number | null, analyse: boolean): Strategy {
  const steps = percents.map((percent) => ({ weight: percent * 100, holdMs, analyse }));
  return { kind: "canary", steps, ...(analyse ? { analysis: defaultAnalysis } : {}) };
}
