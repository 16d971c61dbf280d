import type { SecretsReport } from "../model/api/secrets.ts";
import { formatDuration } from "../model/quantities.ts";
import { renderTable } from "./table.ts";

/** Every version of every secret, newest first, and who needs it. */
export function renderSecrets(report: SecretsReport, nowMs: number): readonly string[] {
  const lines = report.locked ? ["locked: give the passphrase with `bronze secret unlock`"] : [];
  if (report.secrets.length === 0) return [...lines, `${report.app} ${report.environment} has no secrets`];
  const rows = report.secrets.flatMap(({ name, current, versions }) =>
    versions
      .toReversed()
      .map(({ version, who, why, atMs, revoked, releases, live }, index) => [
        index === 0 ? name : "",
        `v${version}`,
        revoked ? "revoked" : version === current ? "current" : "kept",
        `${formatDuration(Math.max(0, nowMs - atMs))} ago by ${who}${why === "" ? "" : `, ${why}`}`,
        releases.map((number) => `v${number}${number === live ? " (live)" : ""}`).join(" ") || "-",
      ]),
  );
  return [...lines, ...renderTable([["NAME", "VERSION", "STATE", "SET", "RELEASES"], ...rows])];
}
