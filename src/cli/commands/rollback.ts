import { Command } from "commander";
import { parseReleaseNumber } from "../../model/names.ts";
import { createContext, withTarget } from "../context.ts";
import { followRelease } from "../follow.ts";
import { findTarget } from "../project.ts";
import { goesOn, printRelease, withReleaseOptions, type ReleaseOptions } from "../release.ts";
import { whoAsks } from "../who.ts";

export function rollbackCommand(): Command {
  return withReleaseOptions(withTarget(new Command("rollback")))
    .description(
      "Puts an earlier release's content live again, as a new release; without a version the nearest earlier proven one.",
    )
    .argument("[release]", "v11, as `bronze releases` shows it")
    .action(async (release: string | undefined, options: ReleaseOptions) => {
      const to = release === undefined ? undefined : parseReleaseNumber(release);
      const context = createContext(options, goesOn);
      const target = await findTarget(context, options);
      const body = { ...target, who: whoAsks(), why: options.why ?? "", ...(to === undefined ? {} : { to }) };
      await printRelease(context, target, await followRelease(context, "/v1/rollback", body), options);
    });
}
