import { dirname, resolve } from "node:path";
import { Command, Option } from "commander";
import { parseAppName } from "../../model/names.ts";
import { askSource, buildProject, newestTag } from "../build-project.ts";
import type { Digest } from "../../model/canonical.ts";
import { withBuild, type BuildOptions } from "../build-options.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { loadProject, loadProjects, type Project } from "../project.ts";
import { withRegistry, type RegistryOptions } from "../registry.ts";
import { contextsOf, refuseForSeveral } from "../several.ts";

interface BuildCommandOptions extends SharedOptions, RegistryOptions, BuildOptions {
  readonly file: string;
  readonly app?: string;
  /** False: `--no-cache`. */
  readonly cache: boolean;
  readonly check?: boolean;
  readonly progress: "auto" | "plain";
}

export function buildCommand(): Command {
  return withBuild(withRegistry(withShared(new Command("build"))))
    .description(
      "Makes this folder's artifact, the same bytes each time, in the local store; `bronze deploy` puts it live.",
    )
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--app <name>", "of several apps only this one", parseAppName)
    .option("--no-cache", "do every step again, whatever earlier builds have made")
    .option("--check", "build twice without a cache, the second time as on another machine, and name what differs")
    .addOption(
      new Option("--progress <style>", "plain: one line after the other with all output, also on a terminal")
        .choices(["auto", "plain"])
        .default("auto"),
    )
    .action(async (options: BuildCommandOptions) => {
      const context = createContext(options);
      const source = options.check === true ? undefined : askSource(context, options.file);
      if (source === undefined) return check(context, await loadProject(options), options.file);
      const projects = await loadProjects(options);
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
    });
}

async function record(
  { places, signal }: Context,
  { definition, folder }: Project,
  digest: Digest,
  warnings: readonly string[],
): Promise<void> {
  if (definition.build.kind === "image") return;
  const { recordUnchanged } = await import("../unchanged.ts");
  const said = [
    ...warnings.map((warning) => `warning: ${warning}`),
    `unchanged ${digest}: everything looks as it did at the last build`,
  ];
  const tag = newestTag(definition.app);
  // It only saves time.
  await recordUnchanged({ state: places.state, folder, digest, tag, said, signal }).catch(() => undefined);
}

async function check(context: Context, project: Project, file: string): Promise<void> {
  const { checkProject } = await import("../check/check-project.ts");
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
