import { describeEvent } from "../ledger/describe.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { formatMoment } from "./releases.ts";
import { renderTable } from "./table.ts";

/** A line an event, oldest first. */
export function renderHistory(events: readonly LedgerEvent[]): readonly string[] {
  if (events.length === 0) return ["nothing has happened yet"];
  const rows = events.map(({ seq, atMs, data }) => {
    const where = "app" in data ? `${data.app} ${data.environment}` : "-";
    return [String(seq), formatMoment(atMs), where, data.kind, describeEvent(data)];
  });
  return renderTable([["SEQ", "WHEN", "WHERE", "EVENT", "WHAT"], ...rows], [0]);
}
