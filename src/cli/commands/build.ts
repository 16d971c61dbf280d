import { Command, Option } from "commander";
import { parseAppName } from "../../model/names.ts";
import { buildDefaults, buildHere } from "../build-here.ts";
import { withBuild } from "../build-options.ts";
import { withShared } from "../context.ts";
import { withRegistry } from "../registry.ts";

export function buildCommand(): Command {
  return withBuild(withRegistry(withShared(new Command("build"))))
    .description(
      "Makes this folder's artifact, the same bytes each time, in the local store; `bronze deploy` puts it live.",
    )
    .option("--file <path>", "definition", buildDefaults.file)
    .option("--app <name>", "of several apps only this one", parseAppName)
    .option("--no-cache", "do every step again, whatever earlier builds have made")
    .option("--check", "build twice without a cache, the second time as on another machine, and name what differs")
    .addOption(
      new Option("--progress <style>", "plain: one line after the other with all output, also on a terminal")
        .choices(["auto", "plain"])
        .default(buildDefaults.progress),
    )
    .action(buildHere);
}
