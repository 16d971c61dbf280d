import type { RevokedRow, RevokedRunning, RevokeResult } from "../model/api/trust.ts";
import type { Paint } from "./paint.ts";
import { formatMoment } from "./releases.ts";
import { shortDigest } from "./status.ts";
import { renderTable } from "./table.ts";

/** Artifacts that are named one by one; of the others only how many there are. */
const mostNamed = 10;

/** What came of a revocation: what it blocks, and what runs of it. */
export function renderRevocation(result: RevokeResult, undo: boolean, paint: Paint): readonly string[] {
  const { artifact, changed, blocked, running } = result;
  if (undo)
    return [changed ? `${artifact} is no longer revoked, nor is what was made from it` : `${artifact} was not revoked`];
  const made = blocked.length === 1 ? "1 artifact" : `${blocked.length} artifacts`;
  const more = blocked.length > mostNamed ? [`  and ${blocked.length - mostNamed} more`] : [];
  return [
    `${artifact} is revoked${changed ? "" : " already"}; ${blocked.length === 0 ? "nothing in the store was made from it" : `${made} of the store made from it ${blocked.length === 1 ? "is" : "are"} blocked with it`}`,
    ...blocked.slice(0, mostNamed).map(({ chain }) => `  ${chain.map(shortDigest).join(" from ")}`),
    ...more,
    ...running.map((one) => renderRunning(one, paint)),
  ];
}

function renderRunning({ app, environment, release, live, instances, reason, becomes }: RevokedRunning, paint: Paint) {
  const which = `${app} ${environment}: v${release} ${live ? "is live" : "runs"}`;
  return `${paint.warn(which)} (${instances.length === 0 ? "no instance" : instances.join(", ")}), ${reason}; ${becomes}`;
}

/** What is revoked, newest first. */
export function renderRevoked(rows: readonly RevokedRow[]): readonly string[] {
  if (rows.length === 0) return ["nothing is revoked"];
  const cells = rows
    .toSorted((a, b) => b.atMs - a.atMs || (a.artifact < b.artifact ? -1 : 1))
    .map(({ artifact, atMs, who, reason, releases }) => [
      shortDigest(artifact),
      formatMoment(atMs),
      who,
      releases.length === 0 ? "no release" : releases.join(", "),
      reason,
    ]);
  return renderTable([["ARTIFACT", "WHEN", "WHO", "BLOCKS", "REASON"], ...cells]);
}
