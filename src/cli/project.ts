import type { BuildCache } from "../build/cache.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { StatusReport } from "../model/api/status.ts";
import type { Definition } from "../model/definition.ts";
import { nearestName } from "../model/nearest.ts";
import { parseAppName, parseEnvironmentName, type AppName, type EnvironmentName } from "../model/names.ts";
import type { Context, TargetOptions } from "./context.ts";
import { defaultFile, readProjects, type Project } from "./definitions.ts";

export type { Project } from "./definitions.ts";

/** One app in one environment. */
export interface Target {
  readonly app: AppName;
  readonly environment: EnvironmentName;
}

/**
 * The definitions a command works from: the one of `--app`, else all that the file has.
 *
 * @param cache where what the file says is remembered; absent: nowhere
 * @throws {OperatorError} `NOT_FOUND` without the file, `DEFINITION_INVALID`, `NOT_YET_SUPPORTED`, `USAGE` when `--app`
 *   names an app that is not defined there
 */
export async function loadProjects(
  options: Pick<TargetOptions, "file" | "app">,
  cache?: BuildCache,
): Promise<readonly [Project, ...Project[]]> {
  const file = options.file ?? defaultFile;
  const projects = await readProjects(file, cache);
  if (projects === undefined)
    throw new OperatorError("NOT_FOUND", `Cannot read definition "${file}": there is no such file here`, {
      hint: "`bronze init` writes one for this folder; --file PATH names another",
    });
  const [first, ...others] =
    options.app === undefined ? projects : projects.filter(({ definition }) => definition.app === options.app);
  if (first !== undefined) return [first, ...others];
  throw new OperatorError(
    "USAGE",
    `Cannot work on app "${options.app ?? ""}": "${file}" defines ${namesOf(projects)}`,
    {
      hint: "leave --app out, or name another definition with --file",
    },
  );
}

/**
 * The same for a command that is about one app.
 *
 * @throws {OperatorError} as {@link loadProjects}, and `USAGE` where several are defined and none is named
 */
export async function loadProject(options: Pick<TargetOptions, "file" | "app">): Promise<Project> {
  const projects = await loadProjects(options);
  if (projects.length === 1) return projects[0];
  throw severalApps(options.file ?? defaultFile, projects);
}

function severalApps(file: string, projects: readonly Project[]): OperatorError {
  return new OperatorError("USAGE", `Cannot tell which app is meant: "${file}" defines ${namesOf(projects)}`, {
    hint: "name one with --app",
  });
}

function namesOf(projects: readonly Project[]): string {
  return projects.map(({ definition }) => definition.app).join(", ");
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
 * The same for a command that may be about several apps: where the definition has some, all of those that the daemon
 * knows in the environment that is meant, in order of their needs.
 */
export async function findTargets(
  context: Context,
  options: TargetOptions,
  from: "named" | "any" = "any",
): Promise<readonly [Target, ...Target[]]> {
  const projects = options.app === undefined ? ((await readProjects(options.file ?? defaultFile)) ?? []) : [];
  if (projects.length < 2) return [await findTarget(context, options, from)];
  const { environments } = await context.client.get<StatusReport>("/v1/status", {}, context.signal);
  const targets = inOrder(projects).flatMap(({ definition }): Target[] => {
    const { app } = definition;
    const environment =
      options.environment === undefined
        ? chooseEnvironment(definition, undefined).name
        : parseEnvironmentName(options.environment);
    return environments.some((one) => one.app === app && one.environment === environment) ? [{ app, environment }] : [];
  });
  const [first, ...others] = targets;
  if (first !== undefined) return [first, ...others];
  throw new OperatorError("NOT_FOUND", `Cannot find ${namesOf(projects)}: this daemon knows none of them`, {
    hint: "`bronze up` puts them live; `bronze status` shows what there is",
  });
}

/** Those that others need first. */
function inOrder(projects: readonly Project[]): readonly Project[] {
  const ordered: Project[] = [];
  const add = (project: Project): void => {
    if (ordered.includes(project)) return;
    const needs = project.definition.environments.flatMap(({ settings }) => settings.needs ?? []);
    for (const other of projects) if (needs.includes(other.definition.app)) add(other);
    ordered.push(project);
  };
  for (const project of projects) add(project);
  return ordered;
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
  const file = options.file ?? defaultFile;
  const projects = (await readProjects(file)) ?? [];
  const defined = named === undefined ? projects : projects.filter(({ definition }) => definition.app === named);
  const [project] = defined;
  if (defined.length > 1) throw severalApps(file, defined);
  if (project !== undefined) {
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

/**
 * The same for what is kept before anything is live: an environment that neither the definition nor the daemon knows is
 * a slip.
 *
 * @throws {OperatorError} as {@link findTarget}, and `NOT_FOUND`
 */
export async function findKnownTarget(context: Context, options: TargetOptions): Promise<Target> {
  const target = await findTarget(context, options);
  const { app, environment } = target;
  const projects = (await readProjects(options.file ?? defaultFile)) ?? [];
  const definition = projects.find((project) => project.definition.app === app)?.definition;
  if (definition?.environments.some(({ name }) => name === environment) === true) return target;
  const { environments } = await context.client.get<StatusReport>("/v1/status", {}, context.signal);
  if (environments.some((one) => one.app === app && one.environment === environment)) return target;
  if (definition !== undefined) chooseEnvironment(definition, environment);
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot find ${app} in ${environment}: no definition here and no daemon knows it`,
    {
      hint: `run in the folder of its ${defaultFile}, or name it with --file`,
    },
  );
}
