import { OperatorError } from "../errors/operator-error.ts";
import type { Cause, ConfigOrigin } from "../ledger/event.ts";
import { contentNow } from "../ledger/secrets.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import type { Promotion } from "../model/api/releases.ts";
import { contentDigest, type Content, type EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { testsDigest, type TestTask } from "../model/tasks.ts";
import { isIrreversible } from "../rollout/tasks.ts";
import { admit, isAdmitted, newsOf, type Admission, type Candidate } from "./admission.ts";
import { create, isSwitching, rolloutEnd, type ReleaseOutcome } from "./begin.ts";
import { keyOf, type Controller } from "./controller.ts";
import { abortActive, madeOf, superseded } from "./releases.ts";
import { checkSecrets } from "./secret-values.ts";
import { changeConfigOrigin, changeSettings, same, settingsHold } from "./settings.ts";
import { until } from "./until.ts";

/** What an environment is to be. */
export interface Wanted {
  readonly content: Content;
  readonly configOrigin: ConfigOrigin;
  readonly settings: EnvironmentSettings;
  readonly cause: Cause;
  /** What its artifact has to pass first, unless it has; absent: nothing. */
  readonly tests?: readonly TestTask[];
  readonly promoted?: Promotion;
  /** Its artifact was asked for by name: it has to be let through even where it is live. */
  readonly isDeploy?: true;
  /** A secret is to be used no more: it goes live without steps, and even where it proved bad before. */
  readonly isUrgent?: true;
}

/**
 * Puts a content live: by a new release, unless it is live already, or on its way. Resolves at the switch.
 *
 * @param plan says what is wanted, given what is now: asked again whenever there was something to wait for; null: nothing
 * @param askedAtMs monotonic: what the rollout's time is counted from
 * @throws {OperatorError} `ARTIFACT_REVOKED`, `ARTIFACT_UNVERIFIED`, `CONTENT_QUARANTINED`, `ARGUMENT_INVALID` for a variable
 *   that is config and a secret, what `plan` throws, or the failure of the rollout
 */
export async function putLive(
  controller: Controller,
  record: EnvironmentRecord,
  plan: () => Wanted,
  askedAtMs: number,
): Promise<ReleaseOutcome>;
export async function putLive(
  controller: Controller,
  record: EnvironmentRecord,
  plan: () => Wanted | null,
  askedAtMs: number,
): Promise<ReleaseOutcome | null>;
export async function putLive(
  controller: Controller,
  record: EnvironmentRecord,
  plan: () => Wanted | null,
  askedAtMs: number,
): Promise<ReleaseOutcome | null> {
  let readable: Content["secrets"] = {};
  let admission: Admission | undefined;
  for (;;) {
    while (!mayDeploy(controller, record)) await until(controller, () => mayDeploy(controller, record), Infinity);
    const wanted = plan();
    if (wanted === null) return null;
    // What has ended never comes back.
    const content = contentNow(record, wanted.content);
    refuseBoth(record, content);
    if (wanted.isUrgent !== true) refuseQuarantined(record, content);
    // From the plan to the record of it nothing is waited for: no other request comes between.
    const candidate: Candidate = {
      content,
      trust: wanted.settings.trust,
      cause: wanted.cause,
      isDeploy: wanted.isDeploy === true,
    };
    const isLetThrough = isAdmitted(controller, record, candidate, admission);
    if (isLetThrough && same(content.secrets, readable))
      return begin(controller, record, { ...wanted, content }, askedAtMs, admission);
    if (!isLetThrough) admission = await admit(controller, record, candidate);
    await checkSecrets(controller, record, content);
    readable = content.secrets;
  }
}

async function begin(
  controller: Controller,
  record: EnvironmentRecord,
  { content, configOrigin, settings, cause, tests = [], promoted, isUrgent }: Wanted,
  askedAtMs: number,
  admission: Admission | undefined,
): Promise<ReleaseOutcome> {
  const { app, environment } = record;
  const digest = contentDigest(content);
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (live?.digest === digest) {
    controller.recorder.append(
      ...newsOf(record, admission?.decision ?? []),
      ...abortActive(record, superseded(record, `a deploy of what is live, v${live.number}`)),
    );
    const changed = !same(record.settings, settings);
    changeSettings(controller, app, environment, settings, cause);
    changeConfigOrigin(controller, record, configOrigin, cause);
    controller.tick(keyOf(record));
    if (changed) await settingsHold(controller, record);
    const leaves = active !== undefined && isIrreversible(active) ? { leaves: [active.number] } : {};
    return { record, release: live, created: false, ...leaves };
  }
  if (
    active?.digest === digest &&
    same(active.settings ?? record.settings, settings) &&
    same(active.configOrigin, configOrigin)
  )
    return { record, release: await rolloutEnd(controller, record, active.number), created: true };
  const hasPassed = controller.state.passedTests.get(content.artifact)?.has(testsDigest(tests)) === true;
  const release = create(
    controller,
    record,
    {
      type: "deploy",
      of: null,
      automatic: false,
      digest,
      content,
      cause,
      ...(same(record.settings, settings) ? {} : { settings }),
      ...madeOf(configOrigin),
      ...(tests.length === 0 || hasPassed ? {} : { tests }),
      ...(promoted === undefined ? {} : { promoted }),
      ...(isUrgent === true ? { urgent: true } : {}),
    },
    askedAtMs,
    admission?.decision,
  );
  return { record, release: await rolloutEnd(controller, record, release), created: true };
}

/** @throws {OperatorError} `CONTENT_QUARANTINED`: it proved bad here, and is not put live again by itself */
export function refuseQuarantined(record: EnvironmentRecord, content: Content): void {
  if (record.quarantined.size === 0) return;
  const found = record.quarantined.get(contentDigest(content));
  if (found === undefined) return;
  const { app, environment } = record;
  throw new OperatorError(
    "CONTENT_QUARANTINED",
    `Cannot release ${app} in ${environment}: its content proved bad as v${found.release}: ${found.reason}`,
    {
      hint: `mend it and deploy that; or, if it was not to blame, \`bronze rollout allow v${found.release}\` lets it be deployed again`,
    },
  );
}

/** @throws {OperatorError} `ARGUMENT_INVALID`: nobody could tell which of the two instances see */
function refuseBoth({ app, environment }: EnvironmentRecord, { config, settings }: Content): void {
  const name = settings.secretVariables?.find((variable) => Object.hasOwn(config, variable));
  if (name === undefined) return;
  throw new OperatorError(
    "ARGUMENT_INVALID",
    `Cannot release ${app} in ${environment}: ${name} is config and a secret's variable at once`,
    { hint: `end the override with \`bronze config unset ${name}\`, or take one of them out of the definition` },
  );
}

/** Whether a deploy may begin: no rollback is under way, and no switch. */
function mayDeploy(controller: Controller, record: EnvironmentRecord): boolean {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return !isSwitching(controller, record) && active?.type !== "rollback";
}

/** A deploy that arrives during a rollback, or a switch, waits for its end. */
export async function deployMayBegin(
  controller: Controller,
  app: AppName,
  environment: EnvironmentName,
): Promise<void> {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) return;
  while (!mayDeploy(controller, record)) await until(controller, () => mayDeploy(controller, record), Infinity);
}
