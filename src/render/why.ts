import { describeEvent } from "../ledger/describe.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { WhyReport } from "../model/api/releases.ts";
import type { Json } from "../model/canonical.ts";
import type { Paint } from "./paint.ts";
import { formatMoment } from "./releases.ts";

/** Most numbers of one decision that are shown; `--json` has them all. */
const mostShown = 24;

/** Each decision about a release in one sentence, with the numbers that it was made from, and what else became of it. */
export function renderWhy(
  { app, environment, release, events }: WhyReport<LedgerEvent>,
  paint: Paint,
): readonly string[] {
  const lines = [paint.bold(`v${release} of ${app} in ${environment}`)];
  for (const { seq, atMs, data } of events) {
    const when = paint.dim(formatMoment(atMs));
    if (data.kind !== "decision.made") {
      lines.push(`${when}  ${describeEvent(data)}`);
      continue;
    }
    lines.push(`${when}  ${paint.bold(data.sentence)}`);
    lines.push(paint.dim(`    rule ${data.rule}, event ${seq}`));
    lines.push(paint.dim(`    from ${numbersOf(data.inputs)}`));
    lines.push(paint.dim(`    to   ${numbersOf(data.outcome)}`));
  }
  return lines;
}

/** `recent.requests 120, recent.errors 9`: plain values by their path; lists of many only by their number. */
function numbersOf(value: Json): string {
  const found = [...leaves(value, "")];
  const shown = found.slice(0, mostShown).join(", ");
  return found.length > mostShown ? `${shown}, and ${found.length - mostShown} more` : shown;
}

function* leaves(value: Json, path: string): Generator<string> {
  if (typeof value !== "object" || value === null) {
    if (value !== "") yield `${path} ${String(value)}`;
  } else if (Array.isArray(value) && value.length > 3) yield `${path} ${value.length} entries`;
  else
    for (const [key, member] of Object.entries(value))
      if (member !== undefined) yield* leaves(member as Json, path === "" ? key : `${path}.${key}`);
}
