import { OperatorError } from "../errors/operator-error.ts";
import { isDigest, type Digest } from "./canonical.ts";

declare const nameBrand: unique symbol;
/** An app's name: a DNS label of at most 32 characters. */
export type AppName = string & { readonly [nameBrand]: "app" };
/** An environment's name: lower-case letters and digits, at most 20, so that `APP-ENV-vN` reads one way only. */
export type EnvironmentName = string & { readonly [nameBrand]: "environment" };
/** The instances that one release created: `APP-ENV-vN`. */
export type SetName = string & { readonly [nameBrand]: "set" };
/** One running copy: `APP-ENV-vN-K`. */
export type InstanceName = string & { readonly [nameBrand]: "instance" };

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not a DNS label of at most 32 characters */
export function parseAppName(text: string): AppName {
  if (/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/.test(text)) return text as AppName;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as an app's name: not a DNS label`, {
    hint: "use 1 to 32 lower-case letters, digits and hyphens, beginning with a letter",
  });
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not 1 to 20 lower-case letters and digits */
export function parseEnvironmentName(text: string): EnvironmentName {
  if (/^[a-z][a-z0-9]{0,19}$/.test(text)) return text as EnvironmentName;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as an environment's name`, {
    hint: "use 1 to 20 lower-case letters and digits, beginning with a letter",
  });
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not `sha256:` and 64 hex digits */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 100)}" as a digest`, {
    hint: "a digest is sha256: and 64 lower-case hex digits",
  });
}

/** @returns the release number of `v12` or `12` @throws {OperatorError} `ARGUMENT_INVALID` */
export function parseReleaseNumber(text: string): number {
  const match = /^v?([1-9][0-9]{0,8})$/.exec(text);
  if (match?.[1] !== undefined) return Number(match[1]);
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a release`, {
    hint: "releases are named v1, v2, …; see `bronze releases`",
  });
}

export function setName(app: AppName, environment: EnvironmentName, release: number): SetName {
  return `${app}-${environment}-v${release}` as SetName;
}

export function instanceName(set: SetName, ordinal: number): InstanceName {
  return `${set}-${ordinal}` as InstanceName;
}

export interface InstanceNameParts {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
  readonly set: SetName;
  readonly ordinal: number;
}

/** The parts of `APP-ENV-vN-K`, or undefined when the text is not such a name. */
export function splitInstanceName(text: string): InstanceNameParts | undefined {
  const match = /^([a-z][a-z0-9-]{0,31})-([a-z][a-z0-9]{0,19})-v([1-9][0-9]{0,8})-([1-9][0-9]{0,8})$/.exec(text);
  if (match === null) return undefined;
  const [, app, environment, release, ordinal] = match as unknown as [string, AppName, EnvironmentName, string, string];
  return {
    app,
    environment,
    release: Number(release),
    set: setName(app, environment, Number(release)),
    ordinal: Number(ordinal),
  };
}
