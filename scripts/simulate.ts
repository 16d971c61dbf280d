/**
 * `npm run -s simulate -- [--seed N] [--runs N] [--bug NAME] [--story FILE] [--timings FILE] [--all]`: runs stories from their seeds, one
 * after the other. The first that breaks an invariant is cut down and told as a timeline; exit status 1 then. `--all` goes
 * on after it and lists every such seed; with one run its timeline is told whatever comes of it.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { bugs } from "../src/simulate/bugs/all.ts";
import { makeStory } from "../src/simulate/make-story.ts";
import { runStory, type RunOptions } from "../src/simulate/run-story.ts";
import { shrink } from "../src/simulate/shrink.ts";
import type { KeptStory } from "../src/simulate/kept/all.ts";
import { parseTimings } from "../src/simulate/timings.ts";
import { renderStory, renderTimeline } from "../src/simulate/timeline.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1" },
    bug: { type: "string" },
    story: { type: "string" },
    timings: { type: "string" },
    all: { type: "boolean" },
  },
});
const first = Number(values.seed);
const runs = Number(values.runs);
const bug = bugs.find(({ name }) => name === values.bug);
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(runs) || (values.bug !== undefined && bug === undefined)) {
  console.log(
    `usage: npm run -s simulate -- [--seed N] [--runs N] [--story FILE] [--timings FILE] [--all] [--bug ${bugs.map(({ name }) => name).join("|")}]`,
  );
  process.exit(2);
}
const file = values.story === undefined ? undefined : (JSON.parse(readFileSync(values.story, "utf8")) as KeptStory);
const options: RunOptions = {
  ...(bug && { changes: bug.changes }),
  ...(file?.timings && { timings: file.timings }),
  ...(values.timings !== undefined && { timings: parseTimings(readFileSync(values.timings, "utf8")) }),
};
const told = file?.story;
const stories =
  told === undefined ? Array.from({ length: runs }, (_, index) => () => makeStory(first + index)) : [() => told];
let broken = 0;
for (const make of stories) {
  const story = make();
  const run = await runStory(story, { ...options, tells: stories.length === 1 });
  const { violation, tally } = run;
  if (stories.length === 1) console.log(renderTimeline(run).join("\n"), "\n", JSON.stringify(tally));
  if (violation === null) continue;
  broken += 1;
  console.log(`seed ${story.seed} breaks ${violation.invariant} at ${violation.atMs} ms: ${violation.finding}`);
  if (values.all === true) continue;
  const short = await shrink(story, violation.invariant, options);
  const again = await runStory(short, { ...options, whole: true, tells: true });
  console.log(`\ncut down to ${short.acts.length} acts and ${short.faults.length} faults:`);
  console.log(renderStory(short).join("\n"));
  console.log(`\nwhat happens then:\n${renderTimeline(again).join("\n")}`);
  break;
}
if (stories.length > 1) console.log(`${runs} runs from seed ${first}: ${broken} broken`);
process.exitCode = broken === 0 ? 0 : 1;
