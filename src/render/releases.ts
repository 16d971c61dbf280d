import type { ReleaseChanges, ReleaseRow } from "../model/api/releases.ts";
import { formatDuration } from "../model/quantities.ts";
import type { Paint } from "./paint.ts";
import { renderVersion, settingName } from "./difference.ts";
import { renderRelease, shortDigest } from "./status.ts";
import { renderTable } from "./table.ts";

/** A line a release, newest first. */
export function renderReleases(rows: readonly ReleaseRow[], paint: Paint): readonly string[] {
  if (rows.length === 0) return ["nothing has been released yet"];
  const cells = rows
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs || b.release - a.release)
    .map((row) => [
      `${row.live ? "*" : " "} ${row.app} ${row.environment}`,
      renderRelease(row.release, row.of),
      paintState(row, paint),
      renderType(row),
      formatMoment(row.createdAtMs),
      row.elapsedMs === null ? "-" : formatDuration(row.elapsedMs),
      shortDigest(row.artifact),
      renderChanges(row.changes),
      row.who,
      // The row itself says which rollout it was.
      row.failure?.replace(/^Cannot complete rollout of \S+ to v[0-9]+ in \S+: /, "") ?? row.why,
    ]);
  return renderTable([
    ["  ENVIRONMENT", "RELEASE", "STATE", "TYPE", "WHEN", "TOOK", "ARTIFACT", "CHANGED", "WHO", "WHY"],
    ...cells,
  ]);
}

function renderType({ automatic, type, promoted }: ReleaseRow): string {
  if (promoted !== null) return `promotion of ${promoted.environment} v${promoted.release}`;
  return automatic ? `automatic ${type}` : type;
}

/** Names of one kind that are shown. */
const mostNames = 3;

/** `artifact, config LEVEL MODE, secret DB v1→v2`; `-` where nothing was live before. */
function renderChanges(changes: ReleaseChanges | null): string {
  if (changes === null) return "-";
  const named = (kind: string, names: readonly string[]): readonly string[] => {
    const more = names.length > mostNames ? ` +${names.length - mostNames}` : "";
    return names.length === 0 ? [] : [`${kind} ${names.slice(0, mostNames).join(" ")}${more}`];
  };
  const parts = [
    ...(changes.artifact ? ["artifact"] : []),
    ...named("config", changes.config),
    ...named(
      "secret",
      changes.secrets.map(({ name, from, to }) => `${name} ${renderVersion(from)}→${renderVersion(to)}`),
    ),
    ...named("setting", changes.settings.map(settingName)),
  ];
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

function paintState({ state, revoked }: ReleaseRow, paint: Paint): string {
  if (revoked !== undefined) return `${state}, ${paint.bad("revoked")}`;
  if (state === "proven") return paint.good(state);
  return state === "aborted" || state === "taken back" || state === "rolled back" ? paint.bad(state) : state;
}

/** `2026-08-01 12:34:56Z`: UTC, so that two people see the same. */
export function formatMoment(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
}
