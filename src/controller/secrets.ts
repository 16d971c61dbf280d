import { OperatorError } from "../errors/operator-error.ts";
import {
  contentNow,
  currentVersion,
  knownSecrets,
  releasesWith,
  runningWith,
  type SecretRecord,
  type SecretVersionRecord,
} from "../ledger/secrets.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import type { SecretRemoveRequest, SecretRevokeRequest, SecretRow, SecretSetRequest } from "../model/api/secrets.ts";
import { secretText, type SecretName } from "../model/secret.ts";
import { baseOf, causeOf, comingSettings, pendingOf, type ReleaseOutcome } from "./begin.ts";
import type { Controller } from "./controller.ts";
import { putLive, type Wanted } from "./put-live.ts";
import { sweepSecrets } from "./secret-sweep.ts";
import { untilRecorded } from "./until.ts";
import { addVersion, isCurrent, missingSecrets, recordAt, refuseNoVariable } from "./secret-values.ts";

/** What came of a change. */
export interface SecretOutcome {
  readonly name: SecretName;
  /** The current version now; null: there is none any more. */
  readonly version: number | null;
  /** False: it was so already. */
  readonly changed: boolean;
  /** What it made live; null: nothing had to be. */
  readonly outcome: ReleaseOutcome | null;
}

/**
 * Gives a secret a value: its first, or with `rotate` a new version, which what is live then takes by a new release.
 * Resolves at the switch.
 *
 * @throws {OperatorError} `SECRET_MISSING` to rotate what is not there, `SECRET_NEEDED` to set what has another value,
 *   `SECRETS_LOCKED`, or the failure of the rollout
 */
export async function setSecret(controller: Controller, request: SecretSetRequest): Promise<SecretOutcome> {
  const askedAtMs = controller.ports.clock.monotonic();
  const { app, environment, name, rotate } = request;
  const value = Buffer.from(request.value, "base64");
  const cause = causeOf(request);
  const changed = await controller.secretChanges.run(environmentKey(app, environment), async () => {
    const record = recordAt(controller, request);
    const current = currentVersion(record, name);
    if (rotate && current === undefined) throw missingSecrets(request, [name], knownSecrets(record));
    const base = record === undefined ? undefined : baseOf(record);
    if (base?.content.settings.secretVariables?.includes(name) === true) refuseNoVariable(name, value);
    if (await isCurrent(controller, request, name, value)) return false;
    if (!rotate && current !== undefined) {
      throw new OperatorError(
        "SECRET_NEEDED",
        `Cannot set ${name} of ${app} in ${environment}: it has a value, v${current}`,
        {
          hint: `\`bronze secret rotate ${name}\` gives it another one, and what is live a release with it`,
        },
      );
    }
    await addVersion(controller, request, { name, value, from: "person" }, cause);
    return true;
  });
  const outcome = rotate ? await releaseNow(controller, request, name, cause, askedAtMs) : null;
  return { name, version: currentVersion(recordAt(controller, request), name) ?? null, changed, outcome };
}

/**
 * Ends versions: what names them takes the current one, what is live by a new release, what stands by with new
 * instances. Resolves at the switch.
 *
 * @throws {OperatorError} `SECRET_MISSING`, `NOT_FOUND`, `SECRET_NEEDED` when nothing could take the place of what is needed
 */
export async function revokeSecret(controller: Controller, request: SecretRevokeRequest): Promise<SecretOutcome> {
  const askedAtMs = controller.ports.clock.monotonic();
  const { app, environment, name } = request;
  const cause = causeOf(request);
  const changed = await controller.secretChanges.run(environmentKey(app, environment), async () => {
    const { record, secret } = knownSecret(controller, request);
    // What takes its place can be had, before anything ends.
    await controller.ports.secrets.read({ app, environment, name, version: currentVersion(record, name) ?? 0 });
    const chosen = chooseVersions(record, secret, request.version).filter(({ ended }) => ended === null);
    for (const { version } of chosen) refuseLast(record, secret, version);
    if (chosen.length > 0)
      controller.recorder.append(
        ...chosen.map(({ version }) => ({ kind: "secret.revoked", app, environment, name, version, cause }) as const),
      );
    return chosen.length > 0;
  });
  controller.tick(environmentKey(app, environment));
  const outcome = await releaseNow(controller, request, name, cause, askedAtMs);
  await sweepSecrets(controller.ports.secrets, controller.state);
  return { name, version: currentVersion(recordAt(controller, request), name) ?? null, changed, outcome };
}

/**
 * Ends a secret with all its versions.
 *
 * @throws {OperatorError} `SECRET_MISSING`, `SECRET_NEEDED` naming the releases that need it: those that run always, those that
 *   a rollback can reach unless `yes`
 */
export async function removeSecret(controller: Controller, request: SecretRemoveRequest): Promise<SecretOutcome> {
  const { app, environment, name, yes } = request;
  const cause = causeOf(request);
  await controller.secretChanges.run(environmentKey(app, environment), async () => {
    const { record } = knownSecret(controller, request);
    const running = runningWith(record, name);
    if (running.length > 0) {
      throw new OperatorError(
        "SECRET_NEEDED",
        `Cannot remove ${name} of ${app} in ${environment}: ${releasesText(running)} it`,
        {
          hint: "take it out of the definition and run `bronze up`; where a release is watched, wait until it is proven",
          details: { releases: running },
        },
      );
    }
    const kept = releasesWith(record, name);
    if (kept.length > 0 && !yes) {
      throw new OperatorError(
        "SECRET_NEEDED",
        `Cannot remove ${name} of ${app} in ${environment}: ${releasesText(kept)} it for a rollback`,
        {
          hint: "with --yes it goes all the same, and a rollback to them then needs a new value first",
          details: { releases: kept },
        },
      );
    }
    const warm = [...record.sets.values()].filter(
      (set) => set.role === "warm" && set.content.secrets[name] !== undefined,
    );
    const reason = `its secret ${name} was removed`;
    controller.recorder.append(
      ...warm.map((set) => ({ kind: "set.retired", app, environment, set: set.name, reason }) as const),
      { kind: "secret.removed", app, environment, name, cause },
    );
  });
  controller.tick(environmentKey(app, environment));
  await sweepSecrets(controller.ports.secrets, controller.state);
  return { name, version: null, changed: true, outcome: null };
}

/** All secrets of an environment, by name; what was removed is left out. */
export function secretRows(record: EnvironmentRecord): readonly SecretRow[] {
  return knownSecrets(record).map((name) => ({
    name,
    current: currentVersion(record, name) ?? 0,
    versions: (record.secrets.get(name)?.versions ?? [])
      .filter(({ ended }) => ended !== "removed")
      .map(({ version, who, why, atMs, ended }) => ({
        version,
        who,
        why,
        atMs,
        revoked: ended === "revoked",
        releases: releasesWith(record, name, version),
        live: runningWith(record, name, version).find((number) => number === record.live?.release) ?? null,
      })),
  }));
}

/** Puts live, or on its way, with the secrets of now what names another version; null: nothing does. */
async function releaseNow(
  controller: Controller,
  request: SecretSetRequest | SecretRevokeRequest,
  name: SecretName,
  cause: ReturnType<typeof causeOf>,
  askedAtMs: number,
): Promise<ReleaseOutcome | null> {
  const record = recordAt(controller, request);
  if (record === undefined) return null;
  const plan = (): Wanted | null => {
    const base = baseOf(record);
    const version = currentVersion(record, name);
    const seen = base?.content.secrets[name];
    if (base === undefined || version === undefined || seen === undefined || seen === version) return null;
    // A version that was given since by another one comes with its own release: revoking only replaces what has ended.
    const now = contentNow(record, base.content);
    const content = "value" in request ? { ...now, secrets: { ...now.secrets, [name]: version } } : now;
    if (content === base.content) return null;
    const { configOrigin } = base;
    const urgent = "value" in request ? {} : ({ isUrgent: true } as const);
    return { content, configOrigin, settings: comingSettings(record, base), cause, ...pendingOf(base), ...urgent };
  };
  for (;;) {
    const outcome = await putLive(controller, record, plan, askedAtMs);
    const { active } = record;
    if (outcome !== null || active === null || !runsEnded(record)) return outcome;
    // What is on its way has none that ended, but what is live does, and stays if that fails.
    await untilRecorded(controller, () => record.active !== active);
  }
}

/** Whether what is live names a version that has ended and has another to take its place. */
function runsEnded(record: EnvironmentRecord): boolean {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  return live !== undefined && contentNow(record, live.content) !== live.content;
}

function knownSecret(
  controller: Controller,
  request: { readonly name: SecretName } & Parameters<typeof recordAt>[1],
): { readonly record: EnvironmentRecord; readonly secret: SecretRecord } {
  const record = recordAt(controller, request);
  const secret = record?.secrets.get(request.name);
  if (record === undefined || secret === undefined || currentVersion(record, request.name) === undefined)
    throw missingSecrets(request, [request.name], knownSecrets(record));
  return { record, secret };
}

/** The version that is meant; without one all but the current. @throws {OperatorError} `NOT_FOUND` */
function chooseVersions(
  record: EnvironmentRecord,
  { name, versions }: SecretRecord,
  version: number | undefined,
): readonly SecretVersionRecord[] {
  if (version === undefined) return versions.filter((one) => one.version !== currentVersion(record, name));
  const chosen = versions.filter((one) => one.version === version && one.ended !== "removed");
  if (chosen.length > 0) return chosen;
  throw new OperatorError("NOT_FOUND", `Cannot revoke ${secretText({ name, version })}: there is no such version`, {
    hint: `\`bronze secret list\` shows its versions; the current one is v${currentVersion(record, name) ?? 0}`,
  });
}

/** Without another version what needs this one could not be started again. */
function refuseLast(record: EnvironmentRecord, { name }: SecretRecord, version: number): void {
  if (version !== currentVersion(record, name)) return;
  const needing = releasesWith(record, name, version);
  if (needing.length === 0) return;
  throw new OperatorError(
    "SECRET_NEEDED",
    `Cannot revoke ${secretText({ name, version })}: it is the current version, and ${releasesText(needing)} it`,
    {
      hint: `give it a new value first, \`bronze secret rotate ${name}\`, then revoke v${version}`,
      details: { releases: needing },
    },
  );
}

function releasesText(releases: readonly number[]): string {
  return `${releases.map((number) => `v${number}`).join(", ")} ${releases.length === 1 ? "needs" : "need"}`;
}
