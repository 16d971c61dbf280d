import { Command, InvalidArgumentError } from "commander";
import { createContext, withTarget, type TargetOptions } from "../context.ts";
import { followDone } from "../follow.ts";
import { findTarget } from "../project.ts";
import { goesOn } from "../release.ts";
import { whoAsks } from "../who.ts";

export function scaleCommand(): Command {
  return withTarget(new Command("scale"))
    .description(
      "Changes the number of live instances. It makes no release, and the next `bronze up` applies the definition's number again.",
    )
    .argument("<instances>", "how many", parseInstances)
    .option("-m, --why <text>", "why, for the record")
    .action(async (instances: number, options: TargetOptions & { readonly why?: string }) => {
      const context = createContext(options, goesOn);
      const target = await findTarget(context, options);
      await followDone(context, "/v1/scale", { ...target, who: whoAsks(), why: options.why ?? "", instances });
      context.output.line(
        `${target.app} ${target.environment} has ${instances === 1 ? "1 instance" : `${instances} instances`}`,
      );
      context.output.record({ ...target, instances });
    });
}

function parseInstances(text: string): number {
  if (/^[1-9][0-9]{0,2}$/.test(text) && Number(text) <= 256) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1 to 256; `bronze down` takes an app down.");
}
