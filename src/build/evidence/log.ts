import type { BuildCache } from "../cache.ts";
import { outputText } from "./output.ts";
import type { BuildFacts, StepFact } from "./recorder.ts";

/** What is remembered of a program that a step ran: its output, and what ran it. */
export interface RunRecord {
  readonly output: Buffer;
  /** Versions by program. */
  readonly tools: { readonly [name: string]: string };
}

/** Whole logs are cut here: what steps wrote first stays. */
const mostBytes = 4 * 2 ** 20;

/**
 * What the steps of a build wrote. Of a step that was found in the cache it is what it wrote when it ran, so that a build
 * says the same whether it ran or not.
 *
 * @param tools what runs programs, by name; asked only where one ran
 * @param clean takes out of what a step wrote what nobody is to see
 */
export async function gatherRuns(
  facts: BuildFacts,
  cache: BuildCache,
  tools: () => Promise<RunRecord["tools"]>,
  clean: (output: Buffer) => Buffer,
): Promise<ReadonlyMap<StepFact, RunRecord>> {
  const records = new Map<StepFact, RunRecord>();
  for (const step of facts.steps) {
    if (step.run === undefined) continue;
    const key = { version: 1, run: step.run.key };
    if (step.run.cached) {
      const known = readRecord(await cache.read("outputs", key));
      if (known !== undefined) records.set(step, known);
      continue;
    }
    const output = facts.output(step.name);
    const written = output === undefined ? Buffer.alloc(0) : clean(outputText(output));
    const record = { output: written, tools: await tools() };
    await cache.write("outputs", key, { output: record.output.toString("base64"), tools: record.tools });
    records.set(step, record);
  }
  return records;
}

/** The log of a build: each step with what it wrote; no times, for equal builds have equal logs. */
export function writeLog(facts: BuildFacts, runs: ReadonlyMap<StepFact, RunRecord>): Buffer {
  const pieces: Buffer[] = [];
  let left = mostBytes;
  for (const step of facts.steps) {
    const text = step.text.replace(/\s+/g, " ");
    const piece = Buffer.concat([Buffer.from(`# ${step.name}: ${text}\n`), runs.get(step)?.output ?? Buffer.alloc(0)]);
    if (piece.byteLength > left) {
      pieces.push(piece.subarray(0, left), Buffer.from("\n[the rest is left out]\n"));
      break;
    }
    left -= piece.byteLength;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function readRecord(value: unknown): RunRecord | undefined {
  const { output, tools } = (value ?? {}) as { readonly output?: unknown; readonly tools?: unknown };
  if (typeof output !== "string" || typeof tools !== "object" || tools === null) return undefined;
  return { output: Buffer.from(output, "base64"), tools: tools as RunRecord["tools"] };
}
