import { canonicalJson, sha256, type Digest } from "./canonical.ts";

/** Environment variables of instances, by name. */
export interface Config {
  readonly [name: string]: string;
}

/** What `bronze config set` puts in place of the definition's values; null: the variable is absent. */
export interface ConfigOverrides {
  readonly [name: string]: string | null;
}

/** Longest name, in characters. */
const mostName = 128;
/** Longest value, in bytes: the kernel takes 128 KiB in one variable. */
const mostConfigValueBytes = 32 * 1024;
/** Names and values of one environment together, in bytes as JSON: each release's record carries them up to three times. */
const mostConfigBytes = 64 * 1024;
export const mostConfigNames = 500;

/** What instances see: the definition's values, with the overrides in their place. Names are sorted. */
export function effectiveConfig(defined: Config, overrides: ConfigOverrides): Config {
  const merged = Object.entries({ ...defined, ...overrides });
  const kept = merged.filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Configs never change; with each release its own is asked for its name. */
const digests = new WeakMap<Config, Digest>();

/** The config's own name: equal configs are one version. */
export function configDigest(config: Config): Digest {
  const known = digests.get(config);
  if (known !== undefined) return known;
  const digest = sha256(canonicalJson(config));
  digests.set(config, digest);
  return digest;
}

/** Why this cannot be the name of a variable, or undefined when it can. */
export function configNameProblem(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === "__proto__")
    return "is not a variable's name: letters, digits and _, not beginning with a digit";
  if (name.length > mostName) return `is longer than ${mostName} characters`;
  if (name === "PORT") return "is set by Bronze for each instance; `run.port` says which";
  if (name.startsWith("BRONZE_")) return "is set by Bronze: names that begin with BRONZE_ are its own";
  return undefined;
}

/** Why this cannot be a variable's value, or undefined when it can. */
export function configValueProblem(value: string): string | undefined {
  if (value.includes("\0") || !value.isWellFormed()) return "holds a NUL or half a character";
  const bytes = utf8Length(value);
  return bytes > mostConfigValueBytes ? `is ${bytes} bytes long, at most ${mostConfigValueBytes} taken` : undefined;
}

/** Why this is too much config for one environment, or undefined when it is not. */
export function configSizeProblem(config: ConfigOverrides): string | undefined {
  const names = Object.keys(config).length;
  if (names > mostConfigNames) return `${names} names, at most ${mostConfigNames} taken`;
  const bytes = utf8Length(JSON.stringify(config));
  return bytes > mostConfigBytes ? `${bytes} bytes, at most ${mostConfigBytes} taken` : undefined;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** An override, and what it stands in place of. */
export interface OverrideRow {
  readonly name: string;
  /** null: the variable is absent. */
  readonly value: string | null;
  /** What the definition says; null: nothing. */
  readonly defined: string | null;
}

/** Overrides by name, each with what it stands in place of. */
export function overrideRows(defined: Config, overrides: ConfigOverrides): readonly OverrideRow[] {
  return Object.entries(overrides)
    .map(([name, value]) => ({ name, value, defined: defined[name] ?? null }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
