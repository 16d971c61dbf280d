import { Command, InvalidArgumentError } from "commander";
import type { ScaleResult } from "../../model/api/releases.ts";
import { parseProcessName, webProcess } from "../../model/names.ts";
import { maxInstances } from "../../model/processes.ts";
import { createContext, withTarget, type TargetOptions } from "../context.ts";
import { followDone } from "../follow.ts";
import { findTarget } from "../project.ts";
import { goesOn } from "../release.ts";
import { whoAsks } from "../who.ts";

type Counts = ReadonlyMap<string, number>;

export function scaleCommand(): Command {
  return withTarget(new Command("scale"))
    .description(
      "Changes the number of live instances. It makes no release, and the next `bronze up` applies the definition's numbers again.",
    )
    .argument("<counts...>", "how many of web, or PROCESS=COUNT: `bronze scale 4 worker=3`", parseCounts)
    .option("-m, --why <text>", "why, for the record")
    .action(async (counts: Counts, options: TargetOptions & { readonly why?: string }) => {
      const context = createContext(options, goesOn);
      const target = await findTarget(context, options);
      const instances = counts.get(webProcess);
      const workers = [...counts].filter(([process]) => process !== webProcess);
      const asked = {
        ...(instances === undefined ? {} : { instances }),
        ...(workers.length === 0 ? {} : { processes: Object.fromEntries(workers) }),
      };
      const body = { ...target, who: whoAsks(), why: options.why ?? "", ...asked };
      const { rollout } = await followDone<ScaleResult>(context, "/v1/scale", body);
      const has = rollout === null ? "has" : "is to have";
      const by =
        rollout === null ? "" : `; the rollout to v${rollout} goes on with them: see \`bronze rollout status\``;
      context.output.line(`${target.app} ${target.environment} ${has} ${[...counts].map(countText).join(", ")}${by}`);
      context.output.record({ ...target, ...asked });
    });
}

function countText([process, count]: readonly [string, number]): string {
  const noun = count === 1 ? "instance" : "instances";
  return process === webProcess ? `${count} ${noun}` : `${count} ${process} ${noun}`;
}

function parseCounts(text: string, before: Counts = new Map()): Counts {
  const [, process = webProcess, number = ""] = /^(?:([^=]*)=)?([0-9]{1,3})$/.exec(text) ?? [];
  const count = Number(number);
  if (number === "" || count > maxInstances || (count === 0 && process === webProcess)) {
    throw new InvalidArgumentError(
      `"${text.slice(0, 80)}" must be a whole number from 1 to ${maxInstances}, or PROCESS=COUNT; \`bronze down\` takes an app down.`,
    );
  }
  if (before.has(process)) throw new InvalidArgumentError(`the number of ${process} is there twice.`);
  return new Map([...before, [parseProcessName(process), count]]);
}
