import type { ReleaseOutcome } from "../controller/begin.ts";
import { urlOf } from "../controller/status.ts";
import { releaseState } from "../ledger/state.ts";
import type { DeployResult } from "../model/api/releases.ts";
import { overrideRows } from "../model/config.ts";

/** What a caller who asked for a release is told of it. */
export function deployResult(outcome: ReleaseOutcome, routerUrl: string): DeployResult {
  const { record, release, created, ended } = outcome;
  const leaves = outcome.leaves ?? (created ? release.leaves : []);
  return {
    release: release.number,
    of: release.of,
    created,
    ...(ended === undefined ? {} : { ended }),
    digest: release.digest,
    state: releaseState(release),
    watchMs: record.settings.watchMs,
    elapsedMs: release.elapsedMs ?? 0,
    warm: release.warm ?? false,
    url: urlOf(record, routerUrl),
    overrides: overrideRows(release.configOrigin.defined, release.configOrigin.overrides),
    ...(leaves.length === 0 ? {} : { leaves }),
  };
}
