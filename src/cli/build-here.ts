import { dirname, resolve } from "node:path";
import { createBuildCache } from "../build/cache.ts";
import type { Digest } from "../model/canonical.ts";
import { askSource, buildProject } from "./build-project.ts";
import { cacheFolder, newestTag } from "./local-store.ts";
import type { BuildOptions } from "./build-options.ts";
import { createContext, type Context, type SharedOptions } from "./context.ts";
import { defaultFile, type Project } from "./definitions.ts";
import { loadProject, loadProjects } from "./project.ts";
import type { RegistryOptions } from "./registry.ts";
import { contextsOf, refuseForSeveral } from "./several.ts";

export interface BuildCommandOptions extends SharedOptions, RegistryOptions, BuildOptions {
  readonly file: string;
  readonly app?: string;
  /** False: `--no-cache`. */
  readonly cache: boolean;
  readonly check?: boolean;
  readonly progress: "auto" | "plain";
}

/** Of `bronze build` without options. */
export const buildDefaults = {
  file: defaultFile,
  cache: true,
  progress: "auto",
} as const satisfies BuildCommandOptions;

/** `bronze build`: makes the artifacts of a definition. */
export async function buildHere(options: BuildCommandOptions): Promise<void> {
  const context = createContext(options);
  const source = options.check === true ? undefined : askSource(context, options.file);
  if (source === undefined) return check(context, await loadProject(options), options.file);
  const projects = await loadProjects(options, createBuildCache(cacheFolder(context)));
  refuseForSeveral(projects, options);
  const contexts = contextsOf(context, projects);
  for (const project of projects) {
    const { output } = contexts.of(project);
    const { artifact, steps, warnings } = await buildProject({ ...context, output }, project, {
      ...options,
      noCache: !options.cache,
      progress: options.progress,
      ...(project.folder === dirname(resolve(options.file)) ? { source } : {}),
    });
    output.line(artifact.digest);
    output.record({ name: newestTag(project.definition.app), ...artifact, steps });
    // The launcher answers nothing but the bare command, and for one app.
    if (artifact.cached && process.argv.length === 3 && projects.length === 1)
      await record(context, project, artifact.digest, warnings);
  }
  contexts.finish();
}

async function record(
  { places, signal }: Context,
  { definition, folder }: Project,
  digest: Digest,
  warnings: readonly string[],
): Promise<void> {
  if (definition.build.kind === "image") return;
  const { recordUnchanged } = await import("./unchanged.ts");
  const said = [
    ...warnings.map((warning) => `warning: ${warning}`),
    `unchanged ${digest}: everything looks as it did at the last build`,
  ];
  const tag = newestTag(definition.app);
  // It only saves time.
  await recordUnchanged({ state: places.state, folder, digest, tag, said, signal }).catch(() => undefined);
}

async function check(context: Context, project: Project, file: string): Promise<void> {
  const { checkProject } = await import("./check/check-project.ts");
  const { artifact, varied } = await checkProject(context, project, file, {
    program: process.execPath,
    options: process.execArgv,
    script: process.argv[1] ?? "",
    args: process.argv.slice(2),
  });
  context.output.note(`the same bytes twice; different were: ${varied.join(", ")}`);
  context.output.line(artifact.digest);
  context.output.record({ ...artifact, varied });
}
