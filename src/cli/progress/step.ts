import { printableLine } from "../../errors/redact.ts";
import { formatBytes, formatDuration } from "../../model/quantities.ts";
import type { BuildEvent } from "../../build/options.ts";
import type { NetworkUse } from "../../ports/step-runner.ts";
import type { Paint } from "../../render/paint.ts";
import { cutToWidth, textWidth } from "../../render/width.ts";

/** A step that ended, as `--json` tells it. */
export interface StepRecord {
  readonly step: string;
  readonly text: string;
  readonly how: Ended["how"];
  readonly ms: number;
  readonly detail: string | null;
  /** Null where no program ran. */
  readonly network: NetworkUse | null;
}

export type Ended = Extract<BuildEvent, { kind: "ended" }>;

export function recordOf(text: string, { step, how, ms, text: detail, network }: Ended): StepRecord {
  return { step, text, how, ms: Math.round(ms), detail: detail ?? null, network: network ?? null };
}

/** The line that stays of a step: what it was, how it ended and when. Its text is cut to leave room for the rest. */
export function renderEnded(record: StepRecord, width: number, paint: Paint): string {
  const { step, how, ms, detail, network } = record;
  const used = network !== null && network.sentPackets > 0;
  const after = [
    how === "cached" ? how : how === "done" ? formatDuration(ms) : `${how} after ${formatDuration(ms)}`,
    ...(detail === null ? [] : [printableLine(detail)]),
    ...(used ? [`network, ${formatBytes(network.receivedBytes)} received`] : []),
  ].join(", ");
  const mark = how === "failed" ? paint.bad("✗") : how === "stopped" ? paint.warn("-") : paint.good("✓");
  return `${mark} ${fit(step, record.text, after, width - 2, paint)}`;
}

/** `STEP  TEXT  AFTER` in so many cells, as far as it goes. */
export function fit(step: string, text: string, after: string, width: number, paint: Paint): string {
  const room = Math.max(10, width - textWidth(step) - textWidth(after) - 4);
  return `${paint.bold(step)}  ${cutToWidth(text, room)}  ${paint.dim(after)}`;
}
