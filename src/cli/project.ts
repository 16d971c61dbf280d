import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import type { StatusReport } from "../model/api.ts";
import type { Definition } from "../model/definition.ts";
import { nearestName } from "../model/nearest.ts";
import { parseAppName, parseEnvironmentName, type AppName, type EnvironmentName } from "../model/names.ts";
import type { Context, TargetOptions } from "./context.ts";

/** One app in one environment. */
export interface Target {
  readonly app: AppName;
  readonly environment: EnvironmentName;
}

export interface Project {
  readonly definition: Definition;
  readonly folder: string;
}

const defaultFile = "bronze.yaml";
/** More than the largest definition, in bytes. */
const mostRead = 512 * 1024;

/**
 * The definition a command works from.
 *
 * @throws {OperatorError} `NOT_FOUND` without the file, `DEFINITION_INVALID`, `NOT_YET_SUPPORTED`, `USAGE` when `--app`
 *   names another app than the definition
 */
export async function loadProject(options: Pick<TargetOptions, "file" | "app">): Promise<Project> {
  const file = options.file ?? defaultFile;
  const project = await findProject(file);
  if (project !== undefined) {
    const { app } = project.definition;
    if (options.app === undefined || options.app === app) return project;
    throw new OperatorError("USAGE", `Cannot work on app "${options.app}": "${file}" defines ${app}`, {
      hint: "leave --app out, or name another definition with --file",
    });
  }
  throw new OperatorError("NOT_FOUND", `Cannot read definition "${file}": there is no such file here`, {
    hint: "`bronze init` writes one for this folder; --file PATH names another",
  });
}

/** The same, or undefined where there is no such file. */
async function findProject(file: string): Promise<Project | undefined> {
  const path = resolve(file);
  const bytes = readStart(path, file);
  if (bytes === undefined) return undefined;
  const { decodeDefinition } = await import("../definition/decode.ts");
  const { parseDefinition } = await import("../definition/parse.ts");
  return { definition: parseDefinition(decodeDefinition(bytes, file), file), folder: dirname(path) };
}

/** A definition's bytes, no more than tell that it is too large; undefined where there is no such file. */
function readStart(path: string, file: string): Buffer | undefined {
  let fd: number | undefined;
  try {
    // Without waiting for the other end of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Error(stats.isDirectory() ? "it is a folder" : "it is no regular file");
    const bytes = Buffer.alloc(mostRead);
    let length = 0;
    for (let count = -1; count !== 0 && length < mostRead; length += count)
      count = readSync(fd, bytes, length, mostRead - length, null);
    return bytes.subarray(0, length);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENOTDIR"))
      return undefined;
    throw new OperatorError("DEFINITION_INVALID", `Cannot read definition "${file.slice(0, 200)}"`, {
      hint: "make it a readable file, or name another with --file",
      cause: thrown,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The environment that is named, or the first without `from`. @throws {OperatorError} `NOT_FOUND` */
export function chooseEnvironment(
  definition: Definition,
  name: string | undefined,
): Definition["environments"][number] {
  const { environments } = definition;
  const chosen =
    name === undefined
      ? (environments.find(({ from }) => from === null) ?? environments[0])
      : environments.find((one) => one.name === name);
  if (chosen !== undefined) return chosen;
  const near = nearestName(
    name ?? "",
    environments.map((one) => one.name),
  );
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot use environment "${name ?? ""}": the definition of ${definition.app} has no such environment`,
    {
      hint: `${near === undefined ? "" : `did you mean ${near}? `}it has ${environments.map((one) => one.name).join(", ")}`,
    },
  );
}

/**
 * Which environment a command is about: options, else this folder's definition, else the only one the daemon has.
 *
 * @param from `named`: for what cannot be undone, one that neither the options nor the folder name is not guessed
 */
export async function findTarget(
  context: Context,
  options: TargetOptions,
  from: "named" | "any" = "any",
): Promise<Target> {
  const named = options.app === undefined ? undefined : parseAppName(options.app);
  if (named !== undefined && options.environment !== undefined) {
    return { app: named, environment: parseEnvironmentName(options.environment) };
  }
  const project = await findProject(options.file ?? defaultFile);
  if (project !== undefined && (named === undefined || named === project.definition.app)) {
    const { app } = project.definition;
    // An environment that was taken out of the definition can still be looked at and ended.
    const environment =
      options.environment === undefined
        ? chooseEnvironment(project.definition, undefined).name
        : parseEnvironmentName(options.environment);
    return { app, environment };
  }
  const { environments } = await context.client.get<StatusReport>("/v1/status", {}, context.signal);
  const fitting = environments.filter(
    ({ app, environment }) =>
      (named === undefined || app === named) &&
      (options.environment === undefined || environment === options.environment),
  );
  const [only, second] = fitting;
  const isGuess = from === "named" && named === undefined;
  if (only !== undefined && second === undefined && !isGuess) return { app: only.app, environment: only.environment };
  const there = environments.map(({ app, environment }) => `${app} ${environment}`).join(", ") || "none yet";
  throw new OperatorError(
    "USAGE",
    `Cannot tell which environment is meant: ${fitting.length === 0 ? "nothing fits" : isGuess ? "neither options nor this folder name an app" : "several fit"}`,
    {
      hint: `name it with --app and -e, or run in the folder of a ${defaultFile}; there are: ${there}`,
    },
  );
}
