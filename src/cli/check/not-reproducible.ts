import type { ArtifactDifference } from "../../build/compare.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath } from "../../image/tar-entry.ts";
import type { Digest } from "../../model/canonical.ts";

/** Differences that are told one by one; of the rest only how many. */
const mostTold = 20;
/** Of an instruction, in characters: its line in the Dockerfile is found by less. */
const longestMaker = 100;

/** The error of two builds that differ: the first difference in full, others by their place, how many in all. */
export async function notReproducible(
  first: Digest,
  second: Digest,
  differences: AsyncIterable<ArtifactDifference>,
): Promise<OperatorError> {
  const told: ArtifactDifference[] = [];
  const counts = new Map<string, number>();
  for await (const difference of differences) {
    if (told.length < mostTold) told.push(difference);
    const kind = kindOf(difference);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const count = [...counts.values()].reduce((sum, one) => sum + one, 0);
  const [cause, ...others] = told;
  const lines = cause === undefined ? [] : [...describeInFull(cause)];
  for (const difference of others) lines.push(`also: ${placeOf(difference, difference.layer !== cause?.layer)}`);
  if (count > told.length)
    lines.push(`in all: ${[...counts].map(([kind, number]) => `${number} × ${kind}`).join(", ")}`);
  return new OperatorError(
    "NOT_REPRODUCIBLE",
    `Cannot make the same artifact twice: the builds differ in ${count === 1 ? "one place" : `${count} places`}`,
    {
      hint: adviseOn(cause),
      cause: lines.join("\n"),
      details: { first, second, count, differences: told.map(readable) },
    },
  );
}

function kindOf({ part, layer, field }: ArtifactDifference): string {
  return `${field} in ${part === "layer" ? `layer ${layer}` : `the ${part}`}`;
}

/** @param withMaker whether the instruction that made the layer is told */
export function placeOf(difference: ArtifactDifference, withMaker = true): string {
  const { part, layer, createdBy = "", path, field, offset, line } = difference;
  const maker = withMaker && createdBy !== "" ? ` (${createdBy.slice(0, longestMaker)})` : "";
  const where = part === "layer" ? `layer ${layer}${maker}` : part;
  const what = path === "" ? "" : `, ${part === "layer" ? `/${fromBytePath(path)}` : path}`;
  const at = offset === undefined ? "" : ` at byte ${offset}${line === undefined ? "" : `, line ${line}`}`;
  return `${where}${what}: ${field}${at}`;
}

function describeInFull(difference: ArtifactDifference): readonly string[] {
  return [placeOf(difference), `first:  ${difference.first}`, `second: ${difference.second}`];
}

function adviseOn(cause: ArtifactDifference | undefined): string {
  if (cause?.part === "layer" && /^(RUN|\/bin\/sh|\|)/.test(cause.createdBy ?? ""))
    return "make that step write the same bytes each time: no time of day but SOURCE_DATE_EPOCH, no random names, sorted lists, versions from a lock file";
  return "see what writes the difference; SOURCE_DATE_EPOCH is set for every step, and files are clamped to it";
}

/** For `--json`: paths as text. */
function readable(difference: ArtifactDifference): ArtifactDifference {
  return difference.part === "layer" ? { ...difference, path: fromBytePath(difference.path) } : difference;
}
