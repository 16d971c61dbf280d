import { Command, Option } from "commander";
import { buildProject, newestTag } from "../build-project.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { loadProject } from "../project.ts";
import { withRegistry, type RegistryOptions } from "../registry.ts";

interface BuildCommandOptions extends SharedOptions, RegistryOptions {
  readonly file: string;
  readonly refresh?: boolean;
  /** False: `--no-cache`. */
  readonly cache: boolean;
  readonly progress: "auto" | "plain";
}

export function buildCommand(): Command {
  return withRegistry(withShared(new Command("build")))
    .description(
      "Makes this folder's artifact, the same bytes each time, in the local store; `bronze deploy` puts it live.",
    )
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--refresh", "take the newest Debian packages instead of those of the last build")
    .option("--no-cache", "do every step again, whatever earlier builds have made")
    .addOption(
      new Option("--progress <style>", "plain: one line after the other with all output, also on a terminal")
        .choices(["auto", "plain"])
        .default("auto"),
    )
    .action(async (options: BuildCommandOptions) => {
      const context = createContext(options);
      const project = await loadProject(options);
      const { artifact, steps } = await buildProject(context, project, {
        plainHttp: options.plainHttp === true,
        refresh: options.refresh === true,
        noCache: !options.cache,
        progress: options.progress,
      });
      context.output.line(artifact.digest);
      context.output.record({ name: newestTag(project.definition.app), ...artifact, steps });
    });
}
