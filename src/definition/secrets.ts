import type { ConfigSource, Definition, SecretDefinition, SecretSource } from "../model/definition.ts";
import { mostSecrets, parseSecretName, whyNoVariable } from "../model/secret.ts";
import { optional, readCommand } from "./build.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";

type Environment = Definition["environments"][number];

/** Reads `secrets`: names, or mappings that say more of one. */
export function readSecrets(reader: Reader, place: Place): readonly SecretDefinition[] {
  const secrets: SecretDefinition[] = [];
  for (const item of reader.list(place)) {
    const secret = readSecret(reader, item);
    if (secret === undefined) continue;
    if (secrets.some(({ name }) => name === secret.name)) reader.problem(item, `${secret.name} is named twice`);
    else secrets.push(secret);
  }
  if (secrets.length > mostSecrets) reader.problem(place, `${secrets.length} secrets, at most ${mostSecrets} taken`);
  return secrets;
}

function readSecret(reader: Reader, place: Place): SecretDefinition | undefined {
  if (!reader.isMap(place)) {
    const name = reader.parsed(place, parseSecretName);
    return name === undefined ? undefined : { name, variable: false };
  }
  const fields = reader.map(place, keySets.secret);
  const field = fields.get("name");
  if (field === undefined) return reader.problem(place, "name: NAME is missing");
  const name = reader.parsed(field, parseSecretName);
  const variable = optional(fields, "variable", (one) => reader.boolean(one)) ?? false;
  const from = optional(fields, "from", (one) => readSource(reader, one));
  if (name === undefined) return undefined;
  const problem = variable ? whyNoVariable(name) : undefined;
  if (problem !== undefined) return reader.problem(field, `"${name}" cannot be a variable: ${problem}`);
  return { name, variable, ...(from === undefined ? {} : { from }) };
}

function readSource(reader: Reader, place: Place): SecretSource | undefined {
  const fields = reader.map(place, keySets.secretSource);
  const [[kind, field] = [], ...others] = fields;
  if (kind === undefined || field === undefined || others.length > 0)
    return reader.problem(place, "must say one of file, env and command");
  if (kind === "command") {
    const command = readCommand(reader, field);
    return command === undefined ? undefined : { kind, command };
  }
  const text = reader.text(field);
  if (text === undefined) return undefined;
  if (kind === "file") return { kind, path: text };
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return { kind: "env", variable: text };
  return reader.problem(field, "must be the name of an environment variable");
}

/** An environment with all that its instances see: what stands at the top, with its own in the place of the same name. */
export function withSecrets(environment: Environment, top: readonly SecretDefinition[] = []): Environment {
  const own = environment.secrets ?? [];
  const names = new Set(own.map(({ name }) => name));
  const secrets = [...top.filter(({ name }) => !names.has(name)), ...own];
  return secrets.length === 0 ? environment : { ...environment, secrets };
}

/** Refuses a name that is config and a secret's variable at once: nobody could tell which of them instances see. */
export function refuseBoth(
  reader: Reader,
  root: Place,
  environment: Environment,
  config: ConfigSource | undefined,
): void {
  for (const { name, variable } of environment.secrets ?? []) {
    const isConfig = [config, environment.config].some(
      (source) => source?.kind === "values" && Object.hasOwn(source.values, name),
    );
    if (variable && isConfig)
      reader.problem(
        { ...root, path: "secrets" },
        `${name} is config of ${environment.name} already, and cannot be a secret's variable too`,
      );
  }
}
