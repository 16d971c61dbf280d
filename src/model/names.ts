import { OperatorError } from "../errors/operator-error.ts";
import { isDigest, type Digest } from "./canonical.ts";

declare const nameBrand: unique symbol;
/** An app's name: a DNS label of at most 32 characters. */
export type AppName = string & { readonly [nameBrand]: "app" };
/** An environment's name: lower-case letters and digits, at most 20, so that `APP-ENV-vN` reads one way only. */
export type EnvironmentName = string & { readonly [nameBrand]: "environment" };
/** The instances that one release created: `APP-ENV-vN`. */
export type SetName = string & { readonly [nameBrand]: "set" };
/**
 * What an instance of a content is for: lower-case letters and digits, at most 20. `web` answers requests; `release`,
 * `run`, `test` and `check` are tasks, which end by themselves; all others are workers.
 */
export type ProcessName = string & { readonly [nameBrand]: "process" };
/** One running copy: `APP-ENV-vN-K`, of another process than `web` `APP-ENV-vN-PROCESS-K`. */
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

/** The process that answers requests. */
export const webProcess = "web" as ProcessName;

/** Tasks: one-off instances outside traffic, which end by themselves. */
export const releaseProcess = "release" as ProcessName;
export const runProcess = "run" as ProcessName;
export const testProcess = "test" as ProcessName;
export const checkProcess = "check" as ProcessName;
export const taskProcesses: readonly ProcessName[] = [releaseProcess, runProcess, testProcess, checkProcess];

export function isTask(process: ProcessName): boolean {
  return taskProcesses.includes(process);
}

/** Whether a process is outside traffic and to run all the time. */
export function isWorker(process: ProcessName): boolean {
  return process !== webProcess && !isTask(process);
}

export function isProcessName(text: string): text is ProcessName {
  return /^[a-z][a-z0-9]{0,19}$/.test(text) && !/^v[0-9]+$/.test(text);
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not 1 to 20 lower-case letters and digits, or reads like a release */
export function parseProcessName(text: string): ProcessName {
  if (isProcessName(text)) return text;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a process's name`, {
    hint: "use 1 to 20 lower-case letters and digits, beginning with a letter, and not like a release (v1)",
  });
}

/** @param ordinal 1, 2, 3 …, counted for each process of a set by itself */
export function instanceName(set: SetName, ordinal: number, process: ProcessName = webProcess): InstanceName {
  return (process === webProcess ? `${set}-${ordinal}` : `${set}-${process}-${ordinal}`) as InstanceName;
}

export interface InstanceNameParts {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
  readonly set: SetName;
  readonly process: ProcessName;
  readonly ordinal: number;
}

/** Names are taken apart all the time, and few are there at any time. */
const split = new Map<string, InstanceNameParts>();
const mostSplit = 4_096;

/** The parts of `APP-ENV-vN-K` or `APP-ENV-vN-PROCESS-K`, or undefined when the text is not such a name. */
export function splitInstanceName(text: string): InstanceNameParts | undefined {
  const known = split.get(text);
  if (known !== undefined) return known;
  const parts = takeApart(text);
  if (parts === undefined) return undefined;
  if (split.size >= mostSplit) split.clear();
  split.set(text, parts);
  return parts;
}

function takeApart(text: string): InstanceNameParts | undefined {
  const match =
    /^([a-z][a-z0-9-]{0,31})-([a-z][a-z0-9]{0,19})-v([1-9][0-9]{0,8})-(?:((?!v[0-9]+-)[a-z][a-z0-9]{0,19})-)?([1-9][0-9]{0,8})$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, app, environment, release, process, ordinal] = match as unknown as [
    string,
    AppName,
    EnvironmentName,
    string,
    ProcessName | undefined,
    string,
  ];
  return {
    app,
    environment,
    release: Number(release),
    set: setName(app, environment, Number(release)),
    process: process ?? webProcess,
    ordinal: Number(ordinal),
  };
}
