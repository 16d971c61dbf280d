import { OperatorError } from "../errors/operator-error.ts";
import type { AppName, EnvironmentName } from "./names.ts";

declare const nameBrand: unique symbol;
/** A secret's name: also its file's in /run/secrets, and its variable's where it is one. */
export type SecretName = string & { readonly [nameBrand]: "secret" };

/** One value that a secret has or had. */
export interface SecretVersion {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly name: SecretName;
  /** 1, 2, 3 …, never used twice. */
  readonly version: number;
}

/** Longest value, in bytes. */
export const mostSecretBytes = 64 * 1024;

/** Most secrets that one definition may list. */
export const mostSecrets = 64;

/**
 * @throws {OperatorError} `ARGUMENT_INVALID` when it is not 1 to 64 letters, digits, `_`, `-` and `.`; never repeats what
 *   follows a `=`, which is a value at a wrong place
 */
export function parseSecretName(text: string): SecretName {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(text)) return text as SecretName;
  const [name = "", ...value] = text.split("=");
  if (value.length > 0) throw valueAsArgument(name.slice(0, 80));
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a secret's name`, {
    hint: "use 1 to 64 letters, digits, _, - and ., not beginning with - or .",
  });
}

/**
 * A value as it was meant: the line end that `echo` and editors put after a single line is no part of it. What has several
 * lines, such as a key in PEM, stays as it is.
 */
export function withoutLineEnd(value: Buffer): Buffer {
  const first = value.indexOf(10);
  if (first < 0 || first !== value.length - 1) return value;
  return value.subarray(0, value[first - 1] === 13 ? first - 1 : first);
}

/** Why a value cannot be kept; undefined: it can. */
export function whyNoValue(value: Uint8Array): string | undefined {
  if (value.length === 0) return "it is empty";
  return value.length > mostSecretBytes ? `it is longer than ${mostSecretBytes} bytes` : undefined;
}

export function valueAsArgument(name: string): OperatorError {
  return new OperatorError("ARGUMENT_INVALID", `Cannot take the value of "${name}" as an argument`, {
    hint: `arguments are seen by all users of the machine and kept by shells: choose another value, and pipe it in: \`bronze secret set ${name} < FILE\``,
  });
}

/** Names that instances are given by Bronze itself, which no secret may take as a variable. */
const ownVariables = /^(PATH|HOME|HOSTNAME|PORT|BRONZE_.*)$/;

/** Why a secret of this name cannot be an environment variable; undefined: it can. */
export function whyNoVariable(name: SecretName): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    return "a variable's name is letters, digits and _, not beginning with a digit";
  if (ownVariables.test(name)) return "Bronze sets that variable itself";
  return undefined;
}

/** `APP ENV NAME vN`, for sentences. */
export function secretText({ name, version }: Pick<SecretVersion, "name" | "version">): string {
  return `${name} v${version}`;
}

/** Why a value cannot be an environment variable; undefined: it can. */
export function whyNoVariableValue(value: Uint8Array): string | undefined {
  if (value.includes(0)) return "holds a NUL byte";
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(value);
    return undefined;
  } catch {
    return "is no text in UTF-8";
  }
}

/** Shorter values, and lines of values, stand in too much that has nothing to do with them, in characters. */
const leastHidden = 4;
const leastHiddenLine = 8;

/** A function that takes values out of a text: as they are, line by line, and as JSON, URLs and base64 carry them. */
export function hideValues(values: readonly Uint8Array[]): (text: string) => string {
  const forms = new Set<string>();
  for (const value of values) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const text = bytes.toString("utf8").trim();
    if (text.length < leastHidden) continue;
    for (const form of [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text.toWellFormed())])
      forms.add(form);
    forms.add(bytes.toString("base64"));
    for (const line of text.split("\n")) if (line.trim().length >= leastHiddenLine) forms.add(line.trim());
  }
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  return (text) => longestFirst.reduce((hidden, form) => hidden.replaceAll(form, "[redacted]"), text);
}
