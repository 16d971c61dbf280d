import { OperatorError } from "../errors/operator-error.ts";
import { contentNow, digestNow } from "../ledger/secrets.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { RollbackRequest } from "../model/api/releases.ts";
import type { Digest } from "../model/canonical.ts";
import { isUnasked } from "../rollout/ready.ts";
import { servingText } from "../rollout/serving-text.ts";
import { hasServed, isBlocked, originOf, pendingDeploy, rollbackTarget, setOfContent } from "../rollout/target.ts";
import { staysText } from "../rollout/task-outcome.ts";
import { isIrreversible } from "../rollout/tasks.ts";
import { admitAgain, refuseRevoked } from "./admission.ts";
import { causeOf, create, isSwitching, rolloutEnd, type ReleaseOutcome } from "./begin.ts";
import { keyOf, type Controller } from "./controller.ts";
import { knownEnvironment, namedRelease } from "./known.ts";
import { abortActive, rollbackTo } from "./releases.ts";
import { checkSecrets } from "./secret-values.ts";
import { until } from "./until.ts";

/** The release whose artifact was let through to be gone back to; null: none yet. */
interface Admitted {
  readonly askedAtMs: number;
  readonly admitted: number | null;
}

/** A set that answers no sooner is not worth the wait: new instances serve in about that time. */
const askAnewMs = 500;

/**
 * Goes back to an earlier release's content, whole. Before a switch it only ends the rollout under way.
 *
 * @throws {OperatorError} `NO_ROLLBACK_TARGET`, `NOT_FOUND`, `ARTIFACT_REVOKED`, `ARTIFACT_UNVERIFIED`, or the failure of the rollout
 */
export async function rollback(
  controller: Controller,
  request: RollbackRequest,
  { askedAtMs, admitted }: Admitted = { askedAtMs: controller.ports.clock.monotonic(), admitted: null },
): Promise<ReleaseOutcome> {
  const record = knownEnvironment(controller, request.app, request.environment);
  const cause = causeOf(request);
  const mayBegin = (): boolean => !isSwitching(controller, record);
  if (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
  const wanted = request.to === undefined ? rollbackTarget(record) : record.releases.get(request.to);
  if (wanted !== undefined) await askAnew(controller, record, digestNow(record, wanted));
  while (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  const named = request.to === undefined ? undefined : namedRelease(record, request.to);
  if (named !== undefined && !hasServed(record, named)) throw neverServed(record, named);
  const active = pendingDeploy(record);
  if (active !== undefined && live !== undefined && (named === undefined || digestNow(record, named) === live.digest)) {
    controller.recorder.append(
      ...abortActive(record, {
        code: "ROLLOUT_FAILED",
        summary: `Cannot complete rollout of ${record.app} to v${active.number} in ${record.environment}: ${cause.who} rolled back before it was live`,
        hint: `${servingText(record)}${staysText(active)}`,
        evidence: [],
      }),
    );
    controller.tick(keyOf(record));
    return {
      record,
      release: live,
      created: false,
      ended: active.number,
      ...(isIrreversible(active) && { leaves: [active.number] }),
    };
  }
  if (live !== undefined && named !== undefined && digestNow(record, named) === live.digest)
    return { record, release: live, created: false };
  const target = named ?? rollbackTarget(record);
  if (target === undefined) {
    throw new OperatorError(
      "NO_ROLLBACK_TARGET",
      `Cannot roll back ${record.app} in ${record.environment}: ${nothingText(record)}`,
      {
        hint: "name a release with `bronze rollback vN` (see `bronze releases`), or deploy a new one",
      },
    );
  }
  if (target.number !== admitted) {
    await admitAgain(controller, record, target);
    // What came meanwhile may be what is to be gone back from.
    return rollback(controller, request, { askedAtMs, admitted: target.number });
  }
  // Instances that run have theirs.
  if (setOfContent(record, digestNow(record, target)) === undefined) {
    const { lastRelease } = record;
    await checkSecrets(controller, record, contentNow(record, originOf(record, target).content));
    const isAsBefore = record.lastRelease === lastRelease && record.live?.release === live?.number;
    if (!isAsBefore || !mayBegin()) return rollback(controller, request, { askedAtMs, admitted: target.number });
  }
  refuseRevoked(record, target);
  const release = create(controller, record, rollbackTo(record, target, cause, false), askedAtMs);
  return { record, release: await rolloutEnd(controller, record, release), created: true };
}

/** A daemon that was held up asks a warm set anew before it takes its silence for an answer. */
async function askAnew(controller: Controller, record: EnvironmentRecord, digest: Digest): Promise<void> {
  const set = setOfContent(record, digest);
  const { fleet, ports } = controller;
  if (set !== undefined && isUnasked(set, fleet.all(), ports.clock.now())) await fleet.ask(set.name, askAnewMs);
}

/** What never served is not gone back to: its tests and release command would be gone past. */
function neverServed(record: EnvironmentRecord, { number, digest, content }: ReleaseRecord): OperatorError {
  const { app, environment, quarantined } = record;
  const bad = quarantined.get(digest);
  const anew = `release it as a new one: \`bronze deploy ${content.artifact}\``;
  return new OperatorError(
    "NO_ROLLBACK_TARGET",
    `Cannot roll back ${app} in ${environment} to v${number}: its content was never live`,
    {
      hint:
        bad === undefined
          ? anew
          : `it proved bad as v${bad.release}; if it was not to blame, \`bronze rollout allow v${number}\` lets it be deployed again, then ${anew}`,
    },
  );
}

function nothingText(record: EnvironmentRecord): string {
  if (record.live === null) return "nothing is live";
  return `v${record.live.release} is live and there is no earlier proven release${revokedText(record)}`;
}

function revokedText(record: EnvironmentRecord): string {
  const revoked = record.line.slice(0, -1).filter((number) => {
    const release = record.releases.get(number);
    return release !== undefined && isBlocked(record, release);
  });
  const names = revoked.map((number) => `v${number}`).join(", ");
  return revoked.length === 0 ? "" : ` that is not revoked (${names} ${revoked.length === 1 ? "is" : "are"})`;
}
