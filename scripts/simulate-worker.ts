/** A thread of `npm run -s simulate -- --seeds A-B`: runs the stories of the seeds it is given, and tells what came of them. */
import { parentPort, workerData } from "node:worker_threads";
import { bugs } from "../src/simulate/bugs/all.ts";
import { makeStory } from "../src/simulate/make-story.ts";
import { enough, runStory } from "../src/simulate/run-story.ts";
import type { ManyOptions, Outcome, Task } from "./simulate-many.ts";

const port = parentPort;
if (port === null) throw new Error("run by simulate-many.ts");
const { bug, timings } = workerData as Pick<ManyOptions, "bug" | "timings">;
const changes = bugs.find(({ name }) => name === bug)?.changes;

async function run(seed: number): Promise<Omit<Outcome, "seeds">> {
  const { tally, violation } = await runStory(makeStory(seed), {
    ...(changes && { changes }),
    ...(timings && { timings }),
  });
  const { steps, faults, rollouts } = tally;
  const broken = violation === null ? [] : [`seed ${seed} breaks ${violation.invariant}: ${violation.finding}`];
  // One that ends early because it broke something has less in it.
  const isShort = violation === null && (steps < enough.steps || faults < enough.faults || rollouts < enough.rollouts);
  return { steps, faults, rollouts, short: isShort ? [seed] : [], broken };
}

port.on("message", (task: Task) => {
  void (async () => {
    const sum: Outcome = { seeds: task.count, steps: 0, faults: 0, rollouts: 0, short: [], broken: [] };
    for (let seed = task.first; seed < task.first + task.count; seed += 1) {
      const one = await run(seed).catch((error: unknown) => {
        const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
        return { steps: 0, faults: 0, rollouts: 0, short: [], broken: [`seed ${seed} cannot be run: ${why}`] };
      });
      sum.steps += one.steps;
      sum.faults += one.faults;
      sum.rollouts += one.rollouts;
      sum.short.push(...one.short);
      sum.broken.push(...one.broken);
    }
    port.postMessage({ task, outcome: sum });
  })();
});
