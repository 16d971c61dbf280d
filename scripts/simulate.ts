/**
 * `npm run -s simulate -- [--seed N] [--runs N] [--bug NAME] [--story FILE] [--timings FILE] [--all]`: runs stories from their seeds, one
 * after the other. The first that breaks an invariant is cut down and told as a timeline; exit status 1 then. `--all` goes
 * on after it and lists every such seed; with one run its timeline is told whatever comes of it.
 *
 * `npm run -s simulate -- --seeds A-B [--jobs N] [--bug NAME] [--timings FILE]`: runs a range of seeds on several threads (default:
 * one a core), says how far it is, and lists every seed that breaks something; after Ctrl-C it says what was done.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { bugs } from "../src/simulate/bugs/all.ts";
import { makeStory } from "../src/simulate/make-story.ts";
import { runStory, type RunOptions } from "../src/simulate/run-story.ts";
import { shrink } from "../src/simulate/shrink.ts";
import type { KeptStory } from "../src/simulate/kept/all.ts";
import { parseTimings } from "../src/simulate/timings.ts";
import { renderStory, renderTimeline } from "../src/simulate/timeline.ts";
import { simulateMany } from "./simulate-many.ts";

/** Most threads that are worth it. */
const mostJobs = 256;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1" },
    bug: { type: "string" },
    story: { type: "string" },
    timings: { type: "string" },
    all: { type: "boolean" },
    seeds: { type: "string" },
    jobs: { type: "string", default: String(availableParallelism()) },
  },
});
const first = Number(values.seed);
const runs = Number(values.runs);
const jobs = Number(values.jobs);
const [from = Number.NaN, to = Number.NaN] = (values.seeds ?? "1-1").split("-").map(Number);
const isRange = Number.isSafeInteger(from) && Number.isSafeInteger(to) && from <= to;
const areJobs = Number.isInteger(jobs) && jobs >= 1 && jobs <= mostJobs;
const bug = bugs.find(({ name }) => name === values.bug);
const areNumbers = Number.isSafeInteger(first) && Number.isSafeInteger(runs) && isRange && areJobs;
if (!areNumbers || (values.bug !== undefined && bug === undefined)) {
  const names = bugs.map(({ name }) => name).join("|");
  console.log(
    `usage: npm run -s simulate -- [--seed N] [--runs N] [--story FILE] [--timings FILE] [--all] [--bug ${names}]\n       npm run -s simulate -- --seeds A-B [--jobs N] [--timings FILE] [--bug NAME]`,
  );
  process.exit(2);
}
const file = values.story === undefined ? undefined : (JSON.parse(readFileSync(values.story, "utf8")) as KeptStory);
const options: RunOptions = {
  ...(bug && { changes: bug.changes }),
  ...(file?.timings && { timings: file.timings }),
  ...(values.timings !== undefined && { timings: parseTimings(readFileSync(values.timings, "utf8")) }),
};
if (values.seeds !== undefined) {
  await runRange();
  process.exit();
}
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

async function runRange(): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  const many = await simulateMany({
    first: from,
    last: to,
    jobs: Math.min(jobs, to - from + 1),
    bug: values.bug,
    timings: options.timings,
    signal: stopping.signal,
    say: (line) => console.log(line),
  });
  const { seeds, broken, short, elapsedMs, upTo } = many;
  const mean = (sum: number): string => (sum / Math.max(1, seeds)).toFixed(1);
  if (stopping.signal.aborted) console.log(`stopped: all seeds from ${from} to ${upTo} were run, and some after them`);
  console.log(`${seeds} runs of seeds ${from} to ${to} in ${Math.round(elapsedMs / 1_000)} s: ${broken.length} broken`);
  console.log(`on average ${mean(many.steps)} steps, ${mean(many.rollouts)} rollouts, ${mean(many.faults)} faults`);
  if (short.length > 0) console.log(`${short.length} had too little in them: seeds ${short.slice(0, 20).join(", ")}`);
  process.exitCode = stopping.signal.aborted ? 130 : broken.length + short.length === 0 ? 0 : 1;
}
