import { OperatorError } from "../errors/operator-error.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { AllowRequest, RolloutRequest } from "../model/api/rollouts.ts";
import { servingText } from "../rollout/serving-text.ts";
import { staysText } from "../rollout/task-outcome.ts";
import { causeOf, isSwitching, rolloutEnd } from "./begin.ts";
import { keyOf, type Controller } from "./controller.ts";
import { knownEnvironment, namedRelease } from "./known.ts";
import { abortActive } from "./releases.ts";
import { until } from "./until.ts";

/** What came of a request about a rollout under way. */
export interface RolloutOutcome {
  readonly record: EnvironmentRecord;
  readonly release: ReleaseRecord;
  /** False: it was so already. */
  readonly changed: boolean;
}

/**
 * Pauses, resumes, hurries or ends the rollout under way. One that is hurried is waited for until it is live.
 *
 * @throws {OperatorError} `NOT_FOUND` when none is, `USAGE` for one that cannot stand still, or how it failed
 */
export async function changeRollout(controller: Controller, request: RolloutRequest): Promise<RolloutOutcome> {
  const record = knownEnvironment(controller, request.app, request.environment);
  // What answers may be another at any moment: who asks now asks about what is then.
  const mayBegin = (): boolean => !isSwitching(controller, record);
  while (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
  const release = underWay(record, request);
  switch (request.action) {
    case "pause":
      return { record, release, changed: pause(controller, record, release, request) };
    case "resume":
      return { record, release, changed: resume(controller, record, release, request) };
    case "complete":
      return complete(controller, record, release, request);
    case "abort":
      return { record, release, changed: abort(controller, record, release, request) };
  }
}

/** Lets a quarantined content be deployed again. @throws {OperatorError} `NOT_FOUND` when there is no such release */
export function allowContent(controller: Controller, request: AllowRequest): RolloutOutcome {
  const record = knownEnvironment(controller, request.app, request.environment);
  const release = namedRelease(record, request.release);
  const changed = record.quarantined.has(release.digest);
  const { app, environment } = record;
  if (changed)
    controller.recorder.append({
      kind: "content.allowed",
      app,
      environment,
      digest: release.digest,
      cause: causeOf(request),
    });
  return { record, release, changed };
}

function underWay(record: EnvironmentRecord, { action }: RolloutRequest): ReleaseRecord {
  const release = record.active === null ? undefined : record.releases.get(record.active);
  if (release !== undefined) return release;
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot ${action} a rollout of ${record.app} in ${record.environment}: none is under way, ${servingText(record)}`,
    {
      hint:
        action === "abort"
          ? "`bronze rollback` goes back from what is live"
          : "`bronze up` or `bronze deploy` begins one",
    },
  );
}

function pause(
  controller: Controller,
  record: EnvironmentRecord,
  release: ReleaseRecord,
  request: RolloutRequest,
): boolean {
  if (release.type === "rollback") throw cannotPause(record, release, "a rollback has no steps to stand still at");
  if ([...record.sets.values()].some(({ yieldsTo }) => yieldsTo?.release === release.number))
    throw cannotPause(record, release, "what was live has ended for it, requests wait");
  const { app, environment } = record;
  if (release.progress.paused?.by === "person") return false;
  controller.recorder.append({
    kind: "rollout.paused",
    app,
    environment,
    release: release.number,
    by: "person",
    reason: request.why === "" ? "by hand" : request.why,
    cause: causeOf(request),
  });
  return true;
}

function cannotPause(record: EnvironmentRecord, { number }: ReleaseRecord, why: string): OperatorError {
  return new OperatorError("USAGE", `Cannot pause v${number} of ${record.app} in ${record.environment}: ${why}`, {
    hint: "`bronze rollout abort` ends it, `bronze rollout status` tells how far it is",
  });
}

function resume(
  controller: Controller,
  record: EnvironmentRecord,
  release: ReleaseRecord,
  request: RolloutRequest,
): boolean {
  if (release.progress.paused === null) return false;
  const { app, environment } = record;
  controller.recorder.append({
    kind: "rollout.resumed",
    app,
    environment,
    release: release.number,
    cause: causeOf(request),
  });
  controller.tick(keyOf(record));
  return true;
}

async function complete(
  controller: Controller,
  record: EnvironmentRecord,
  release: ReleaseRecord,
  request: RolloutRequest,
): Promise<RolloutOutcome> {
  const { app, environment } = record;
  const changed = !release.progress.hurried;
  if (changed) {
    const cause = causeOf(request);
    controller.recorder.append({ kind: "rollout.hurried", app, environment, release: release.number, cause });
    controller.tick(keyOf(record));
  }
  return { record, release: await rolloutEnd(controller, record, release.number), changed };
}

function abort(
  controller: Controller,
  record: EnvironmentRecord,
  release: ReleaseRecord,
  request: RolloutRequest,
): boolean {
  const why = request.why === "" ? "" : `, ${request.why}`;
  controller.recorder.append(
    ...abortActive(record, {
      code: "ROLLOUT_FAILED",
      summary: `Cannot complete rollout of ${record.app} to v${release.number} in ${record.environment}: ${request.who} aborted it${why}`,
      hint: `${servingText(record)}${staysText(release)}`,
      evidence: [],
    }),
  );
  controller.tick(keyOf(record));
  return true;
}
