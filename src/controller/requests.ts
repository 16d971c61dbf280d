import { OperatorError } from "../errors/operator-error.ts";
import type { Cause } from "../ledger/event.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { WaitRequest } from "../model/api/asked.ts";
import type { DownRequest } from "../model/api/releases.ts";
import { keyOf, type Controller } from "./controller.ts";
import { servingText } from "../rollout/serving-text.ts";
import { failureError } from "./executor.ts";
import { knownEnvironment, namedRelease, unknownEnvironment } from "./known.ts";
import { staysText } from "../rollout/task-outcome.ts";
import { abortActive } from "./releases.ts";
import { until, untilRecorded } from "./until.ts";

/** Takes environments down; resolves when nothing of them runs any more. Their ledger and numbers stay. */
export async function down(controller: Controller, request: DownRequest): Promise<readonly EnvironmentRecord[]> {
  const all = [...controller.state.environments.values()];
  const chosen = all.filter(
    (record) =>
      request.all === true ||
      (record.app === request.app && (request.environment === undefined || record.environment === request.environment)),
  );
  if (chosen.length === 0 && request.all !== true)
    throw unknownEnvironment(controller, request.app, request.environment);
  const cause: Cause = { who: request.who, why: request.why };
  const newest = new Map(chosen.map((record) => [record, record.lastRelease]));
  const broughtBack = (record: EnvironmentRecord): boolean =>
    (record.active !== null || record.live !== null) && record.lastRelease !== newest.get(record);
  for (const record of chosen) {
    const { app, environment } = record;
    const active = record.active === null ? undefined : record.releases.get(record.active);
    const aborted = abortActive(record, {
      code: "ROLLOUT_FAILED",
      summary: `Cannot complete rollout of ${app} to v${record.active} in ${environment}: ${request.who} took it down`,
      hint: `bring it back with \`bronze up\`${active === undefined ? "" : staysText(active)}`,
      evidence: [],
    });
    if (record.live !== null || record.sets.size > 0 || controller.view(record).tasks.length > 0)
      controller.recorder.append(...aborted, { kind: "app.down", app, environment, cause });
    controller.tick(keyOf(record));
  }
  await until(
    controller,
    () =>
      chosen.some(broughtBack) ||
      chosen.every((record) => {
        const { rules, tasks } = controller.view(record);
        return record.sets.size === 0 && rules.length === 0 && tasks.length === 0;
      }),
    Number.POSITIVE_INFINITY,
  );
  const back = chosen.find(broughtBack);
  if (back !== undefined) {
    throw new OperatorError(
      "ROLLOUT_SUPERSEDED",
      `Cannot take ${back.app} down in ${back.environment}: v${back.lastRelease} was asked for meanwhile`,
      { hint: "see `bronze status`; run `bronze down` again if it is to go" },
    );
  }
  return chosen;
}

/** Waits until a release is proven or taken back, or its rollout failed. */
export async function watched(controller: Controller, request: WaitRequest): Promise<ReleaseRecord> {
  const record = knownEnvironment(controller, request.app, request.environment);
  const release = namedRelease(record, request.release);
  await untilRecorded(
    controller,
    () =>
      release.rollout === "aborted" ||
      release.proof === "proven" ||
      release.proof === "taken back" ||
      heldOf(record, release) !== null,
  );
  if (release.failure !== null) throw failureError(release.failure);
  if (release.proof === "taken back") {
    // What serves instead is known when it does.
    await untilRecorded(controller, () => record.active === null);
    throw new OperatorError(
      "ROLLOUT_FAILED",
      `Cannot prove v${release.number} of ${record.app}: taken back, ${release.takenBackBecause}`,
      {
        hint: servingText(record),
      },
    );
  }
  const held = heldOf(record, release);
  if (held !== null) {
    throw new OperatorError(
      "ROLLOUT_FAILED",
      `Cannot prove v${release.number} of ${record.app}: it looks bad (${held.reason}) and is held, since what its release command did is not reversible`,
      { hint: `\`bronze rollback\` goes back to v${held.to} all the same; or deploy what mends it` },
    );
  }
  return release;
}

function heldOf(record: EnvironmentRecord, release: ReleaseRecord): { to: number; reason: string } | null {
  return record.watch?.release === release.number ? record.watch.held : null;
}
