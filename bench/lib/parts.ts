import { OperatorError } from "../../src/errors/operator-error.ts";
import type { Bench, BenchOptions, BenchResult, Figure } from "./figures.ts";

/** The parts of a bench by name, one file each; a part starts and stops what it needs by itself. */
export type Parts = Readonly<Record<string, () => Promise<Bench>>>;

/** Runs the parts asked for, or all, and puts their results together. @throws {OperatorError} `USAGE` when there is no such part */
export async function runParts(parts: Parts, options: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  const notes: string[] = [];
  let failed = false;
  for (const name of options.parts ?? Object.keys(parts)) {
    const load = Object.hasOwn(parts, name) ? parts[name] : undefined;
    if (load === undefined) {
      throw new OperatorError("USAGE", `Cannot run part "${name}" of the bench: there is none`, {
        hint: `parts are ${Object.keys(parts).join(", ")}`,
      });
    }
    const part = await (await load())(options);
    figures.push(...part.figures);
    notes.push(...(part.notes ?? []));
    failed ||= part.failed === true;
  }
  return { figures, notes, failed };
}
