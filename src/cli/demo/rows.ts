import type { Figures } from "../../model/api/status.ts";
import type { LoadReport } from "../../load/protocol.ts";
import { renderTable } from "../../render/table.ts";

/** One rollout in the demo's result. */
export interface Row {
  readonly rollout: string;
  readonly requests: number;
  readonly failed: number;
  readonly figures: Figures;
}

/** What `--json` prints. */
export interface DemoResult {
  readonly rollouts: readonly Row[];
  /** `config_drift_pct` before, while a second process was in an instance, and after. */
  readonly drift: { readonly before: number; readonly during: number; readonly after: number };
  readonly tamper: readonly { readonly attempt: string; readonly outcome: string }[];
}

/** A rollout's row: availability from the clients, the rest as `bronze status` tells it. */
export function rowOf(rollout: string, report: LoadReport, figures: Figures): Row {
  const { requests, failed } = report;
  return {
    rollout,
    requests,
    failed,
    figures: { ...figures, availability_during_deploy_pct: availability(requests, failed) },
  };
}

/** Share answered rightly, in percent; cut off, never rounded up to 100. */
export function availability(requests: number, failed: number): number | null {
  if (requests === 0) return null;
  return failed === 0 ? 100 : Math.floor(((requests - failed) / requests) * 1e5) / 1e3;
}

export function renderRows(rows: readonly Row[]): readonly string[] {
  const head = ["ROLLOUT", "REQUESTS", "FAILED", "AVAILABLE", "ROLLBACK TIME", "DRIFT", "OLDEST INSTANCE"];
  const cells = rows.map(({ rollout, requests, failed, figures }) => [
    rollout,
    requests.toLocaleString("en"),
    failed.toLocaleString("en"),
    show(figures.availability_during_deploy_pct, "%"),
    show(figures.deploy_rollback_time_ms, "ms"),
    show(figures.config_drift_pct, "%"),
    show(figures.instance_age_hours, "h"),
  ]);
  return renderTable([head, ...cells], [1, 2, 3, 4, 5, 6]);
}

function show(value: number | null, unit: string): string {
  return value === null ? "-" : `${Number(value.toPrecision(5))} ${unit}`;
}

/** Failures by kind and reason, in words; empty when there was none. */
export function failuresOf(report: LoadReport): readonly string[] {
  return report.kinds.flatMap(({ kind, reasons }) =>
    Object.entries(reasons).map(([reason, count]) => `${count} × ${kind}: ${reason}`),
  );
}
