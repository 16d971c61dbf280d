import { Command } from "commander";
import type { ReleaseRow } from "../../model/api.ts";
import { renderReleases } from "../../render/releases.ts";
import { createContext, withTarget, type TargetOptions } from "../context.ts";
import { findTarget } from "../project.ts";

export function releasesCommand(): Command {
  return withTarget(new Command("releases"))
    .description("Shows every release of an environment, newest first, and what became of it; * is live.")
    .option("--all", "of all apps and environments")
    .action(async (options: TargetOptions & { readonly all?: boolean }) => {
      const context = createContext(options);
      const target = options.all === true ? {} : await findTarget(context, options);
      const rows = await context.client.get<readonly ReleaseRow[]>("/v1/releases", { ...target }, context.signal);
      for (const line of renderReleases(rows, context.output.paint)) context.output.line(line);
      context.output.record(rows);
    });
}
