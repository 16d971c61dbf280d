import { setFlagsFromString } from "node:v8";
import { bugs } from "../src/simulate/bugs/all.ts";
import { makeStory } from "../src/simulate/make-story.ts";
import { runStory } from "../src/simulate/run-story.ts";
import { round, type Bench } from "./lib/figures.ts";
import { referenceWork } from "./lib/reference.ts";

const defaultRuns = 1_000;
/** Until all code that runs often is compiled: after 400 the next hundred take no less time than those before them. */
const warmUpRuns = 500;
/** After so many runs a fixed piece of work is timed once: the machine's speed changes within minutes. */
const referenceEvery = 20;
/** Of so many runs one is run once more, after all have been timed, with its ledger hashed, copied and verified as on disk. */
const exactlyEvery = 50;

/**
 * Runs stories from the seeds 1, 2, 3 … on one core: how many a second, and how much happens in each. Then every bug that
 * was put in on purpose, by its seed.
 */
export const simulateBench: Bench = async ({ runs = defaultRuns, say }) => {
  // As in `npm run -s simulate`: the engine's middle compiler makes code that runs for so long a tenth slower.
  setFlagsFromString("--no-maglev");
  for (let seed = 1; seed <= warmUpRuns; seed += 1) {
    await runStory(makeStory(seed));
    if (seed % referenceEvery === 0) referenceWork();
  }
  const broken: string[] = [];
  let [steps, faults, rollouts, fewest] = [0, 0, 0, Infinity];
  let [elapsedMs, referenceMs, references] = [0, 0, 0];
  const used = process.cpuUsage();
  for (let seed = 1; seed <= runs; seed += 1) {
    const began = performance.now();
    const { tally, violation } = await runStory(makeStory(seed));
    const ended = performance.now();
    elapsedMs += ended - began;
    if (seed % referenceEvery === 0) {
      referenceWork();
      referenceMs += performance.now() - ended;
      references += 1;
    }
    steps += tally.steps;
    faults += tally.faults;
    rollouts += tally.rollouts;
    fewest = Math.min(fewest, tally.steps);
    if (violation !== null) broken.push(`seed ${seed} breaks ${violation.invariant}: ${violation.finding}`);
    if (seed % 1_000 === 0) {
      say(`${seed} runs, ${broken.length} broken, ${round((seed / elapsedMs) * 1_000)} a second`);
      // What was asked of the process meanwhile is heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const { user, system } = process.cpuUsage(used);
  const usedMs = (user + system) / 1_000 - referenceMs;
  for (let seed = exactlyEvery; seed <= runs; seed += exactlyEvery) {
    const { violation } = await runStory(makeStory(seed), { exactly: true });
    if (violation !== null)
      broken.push(`seed ${seed}, as on disk, breaks ${violation.invariant}: ${violation.finding}`);
  }
  let found = 0;
  const missed: string[] = [];
  for (const { name, breaks, seed, changes } of bugs) {
    const { violation } = await runStory(makeStory(seed), { changes });
    if (violation?.invariant === breaks) found += 1;
    else missed.push(`${name} is not found by seed ${seed}: ${violation?.invariant ?? "nothing"} was broken`);
  }
  const runsPerS = (runs / elapsedMs) * 1_000;
  const referencesPerS = references === 0 ? null : (references / referenceMs) * 1_000;
  return {
    figures: [
      {
        name: "runs_per_s",
        value: round(runsPerS),
        unit: "1/s",
        runs,
        ...(referencesPerS !== null && {
          versus: { name: "reference", value: round(referencesPerS) },
          ratio: round(runsPerS / referencesPerS),
        }),
        goal: { atLeast: 100 },
      },
      { name: "mean_steps", value: round(steps / runs), unit: "", runs, goal: { atLeast: 500 } },
      { name: "mean_faults", value: round(faults / runs), unit: "", runs, goal: { atLeast: 5 } },
      { name: "mean_rollouts", value: round(rollouts / runs), unit: "", runs, goal: { atLeast: 3 } },
      { name: "broken", value: broken.length, unit: "", runs, goal: { atMost: 0 } },
      { name: "seeded_bugs_found", value: found, unit: "", runs: bugs.length, goal: { atLeast: bugs.length } },
    ],
    notes: [
      `fewest steps of a run: ${fewest}; processor time of a run: ${round(usedMs / runs)} ms`,
      ...broken.slice(0, 20),
      ...missed,
    ],
    failed: broken.length > 0 || missed.length > 0,
  };
};
