import { OperatorError, asOperatorError } from "../errors/operator-error.ts";
import type { Cause } from "../ledger/event.ts";
import { contentNow, currentVersion, knownSecrets, lostSecrets, nextVersion } from "../ledger/secrets.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import type { WantedSecret } from "../model/api/releases.ts";
import type { Content } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import { hideValues, secretText, whyNoVariableValue, type SecretName } from "../model/secret.ts";
import type { Controller } from "./controller.ts";
import type { ControllerPorts } from "./ports.ts";

/** One environment of an app, whether it has a record already or not. */
export interface Place {
  readonly app: AppName;
  readonly environment: EnvironmentName;
}

export function recordAt(controller: Controller, { app, environment }: Place): EnvironmentRecord | undefined {
  return controller.state.environments.get(environmentKey(app, environment));
}

/** Keeps a value as the next version; value and record are on disk when this resolves. @returns the version */
export async function addVersion(
  controller: Controller,
  { app, environment }: Place,
  secret: { readonly name: SecretName; readonly value: Buffer; readonly from: "person" | "provider" },
  cause: Cause,
): Promise<number> {
  const { name, value, from } = secret;
  const version = nextVersion(recordAt(controller, { app, environment }), name);
  // The value first: a version that is recorded has one.
  await controller.ports.secrets.write({ app, environment, name, version }, value);
  controller.recorder.append({ kind: "secret.set", app, environment, name, version, from, cause });
  return version;
}

/** Whether a value is the one that the current version has. One that cannot be read is another. */
export async function isCurrent(
  controller: Controller,
  { app, environment }: Place,
  name: SecretName,
  value: Buffer,
): Promise<boolean> {
  const version = currentVersion(recordAt(controller, { app, environment }), name);
  if (version === undefined) return false;
  try {
    return (await controller.ports.secrets.read({ app, environment, name, version })).equals(value);
  } catch (error) {
    if (asOperatorError(error).code === "SECRET_UNREADABLE") return false;
    throw error;
  }
}

/**
 * Makes the secrets ready that a deploy lists, before anything else of it is done: values that came with it become
 * versions where they are new, and every current version can be read.
 *
 * @throws {OperatorError} `SECRET_MISSING`, naming all that have no value, `SECRET_UNREADABLE`, `SECRETS_LOCKED`
 */
export async function prepareSecrets(
  controller: Controller,
  place: Place,
  wanted: readonly WantedSecret[],
  cause: Cause,
): Promise<void> {
  await checkKept(controller, place, wanted);
  for (const { name, variable, value: text } of wanted) {
    if (text === undefined) continue;
    const value = Buffer.from(text, "base64");
    if (variable) refuseNoVariable(name, value);
    await controller.secretChanges.run(environmentKey(place.app, place.environment), async () => {
      if (!(await isCurrent(controller, place, name, value)))
        await addVersion(controller, place, { name, value, from: "provider" }, cause);
    });
  }
}

/**
 * Whether those of them that come without a value have one that can be read.
 *
 * @throws {OperatorError} as `prepareSecrets`
 */
export async function checkKept(controller: Controller, place: Place, wanted: readonly WantedSecret[]): Promise<void> {
  const record = recordAt(controller, place);
  const kept = wanted.filter(({ value }) => value === undefined);
  const missing = kept.map(({ name }) => name).filter((name) => currentVersion(record, name) === undefined);
  if (missing.length > 0) throw missingSecrets(place, missing, knownSecrets(record));
  for (const { name, variable } of kept) await checkValue(controller, place, name, variable);
}

/** The current version of each. */
export function currentVersions(
  record: EnvironmentRecord | undefined,
  wanted: readonly WantedSecret[],
): Content["secrets"] {
  return Object.fromEntries(
    wanted.map(({ name }) => [name, currentVersion(record, name) ?? 0] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** The names of those that are variables too, as settings carry them: none, not at all. */
export function secretVariables(wanted: readonly WantedSecret[]): Pick<Content["settings"], "secretVariables"> {
  const names = wanted.filter(({ variable }) => variable).map(({ name }) => name);
  return names.length === 0 ? {} : { secretVariables: names.sort() };
}

/**
 * Refuses a content of which an instance could not be started.
 *
 * @throws {OperatorError} `SECRET_MISSING`, `SECRET_UNREADABLE`, `SECRETS_LOCKED`
 */
export async function checkSecrets(controller: Controller, record: EnvironmentRecord, content: Content): Promise<void> {
  const { app, environment } = record;
  const [lost] = lostSecrets(record, content);
  if (lost !== undefined) {
    const [name, version] = lost;
    throw new OperatorError(
      "SECRET_MISSING",
      `Cannot release what needs ${secretText({ name, version })} of ${app} in ${environment}: it was removed`,
      {
        hint: `give ${name} a new value, \`bronze secret set ${name}\`, which then takes its place`,
      },
    );
  }
  for (const [text, version] of Object.entries(content.secrets))
    await controller.ports.secrets.read({ app, environment, name: text as SecretName, version });
}

async function checkValue(controller: Controller, place: Place, name: SecretName, variable: boolean): Promise<void> {
  const version = currentVersion(recordAt(controller, place), name) ?? 0;
  const value = await controller.ports.secrets.read({ ...place, name, version });
  if (variable) refuseNoVariable(name, value);
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when a value cannot be an environment variable */
export function refuseNoVariable(name: SecretName, value: Buffer): void {
  const problem = whyNoVariableValue(value);
  if (problem === undefined) return;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot give instances ${name} as a variable: its value ${problem}`, {
    hint: `leave \`variable: true\` out: it is a file too, /run/secrets/${name}`,
  });
}

/** `SECRET_MISSING` for names without a value, with the name that was most likely meant. */
export function missingSecrets(
  { app, environment }: Place,
  names: readonly SecretName[],
  known: readonly SecretName[],
): OperatorError {
  const [first = "" as SecretName] = names;
  const near = nearestName(first, known);
  const which = names.length === 1 ? `secret ${first} has no value` : `secrets ${names.join(", ")} have no values`;
  const nearText = near === undefined ? "" : `did you mean ${near}? Else `;
  return new OperatorError("SECRET_MISSING", `Cannot use ${app} in ${environment}: ${which}`, {
    hint: `${nearText}give it one: \`bronze secret set ${first} -e ${environment} --app ${app} < FILE\`${
      known.length === 0 ? "" : `; there are ${known.slice(0, 20).join(", ")}`
    }`,
    details: { missing: names, known },
  });
}

/** The same for what may have seen other versions of its secrets, as those that have ended since it was started. */
export async function hideAllVersions(
  { secrets }: Pick<ControllerPorts, "secrets">,
  record: EnvironmentRecord,
  content: Content,
): Promise<(lines: readonly string[]) => readonly string[]> {
  const { app, environment } = record;
  const hideNow = await hideSecrets({ secrets }, record, contentNow(record, content));
  const others = (await secrets.list()).filter(
    (one) => one.app === app && one.environment === environment && content.secrets[one.name] !== undefined,
  );
  const hides = await Promise.all(
    others.map(({ name, version }) => hideSecrets({ secrets }, record, { ...content, secrets: { [name]: version } })),
  );
  return (lines) => hides.reduce((left, hide) => hide(left), hideNow(lines));
}

/**
 * Takes the values that a content's instances know out of lines that they wrote, before those are recorded or told. Where
 * the values cannot be read nothing of the lines is told.
 */
export async function hideSecrets(
  { secrets }: Pick<ControllerPorts, "secrets">,
  { app, environment }: Place,
  content: Content,
): Promise<(lines: readonly string[]) => readonly string[]> {
  const values: Buffer[] = [];
  for (const [text, version] of Object.entries(content.secrets)) {
    try {
      values.push(await secrets.read({ app, environment, name: text as SecretName, version }));
    } catch {
      const withheld = `[withheld: secret ${text} cannot be read, so that nobody can tell whether it stands in this]`;
      return (lines) => (lines.length === 0 ? [] : [withheld]);
    }
  }
  const hide = hideValues(values);
  return (lines) => lines.map(hide);
}
