import type { ConfigReport } from "../model/api/releases.ts";
import { shownValue, wholeValue } from "./overrides.ts";
import { renderRelease } from "./status.ts";
import { renderTable } from "./table.ts";

/** Every variable, where it comes from, and which config it is. */
export function renderConfig(report: ConfigReport, values: "whole" | "short"): readonly string[] {
  const show = values === "whole" ? wholeValue : shownValue;
  const overridden = new Map(report.overrides.map((row) => [row.name, row]));
  const names = [...new Set([...Object.keys(report.config), ...overridden.keys()])].sort();
  const of =
    report.release === null
      ? "nothing is live; what comes first gets this config"
      : `config ${report.version} of ${renderRelease(report.release, null)}, ${report.app} ${report.environment}`;
  if (names.length === 0) return [of, "no variable is set"];
  const rows = names.map((name) => {
    const row = overridden.get(name);
    const value = report.config[name];
    const from =
      row === undefined
        ? "definition"
        : `override (${row.defined === null ? "not in the definition" : `definition: ${shownValue(row.defined)}`})`;
    return [name, value === undefined ? "(absent)" : show(value), from];
  });
  return [of, ...renderTable([["NAME", "VALUE", "FROM"], ...rows])];
}
