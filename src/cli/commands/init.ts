import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { openFolder } from "../init/folder.ts";
import type { Proposal } from "../init/proposal.ts";
import type { ProposeOptions } from "../init/other-files.ts";
import { propose } from "../init/propose.ts";
import { writeFiles } from "../init/write-files.ts";
import type { Output } from "../output.ts";

interface InitOptions extends SharedOptions, ProposeOptions {
  readonly print?: boolean;
  readonly force?: boolean;
}

export function initCommand(): Command {
  return withShared(new Command("init"))
    .description(
      "Writes bronze.yaml for this folder, and a Dockerfile where a Node, Python or static project needs one and has none: from what is here, or from another tool's file. Says what it assumed and what it could not carry over, never overwrites.",
    )
    .option("--from <file>", "take the app from a compose.yaml, a Procfile or Kamal's config/deploy.yml")
    .option("--service <name>", "the service of a compose.yaml that is the app")
    .option("--print", "print it, write nothing")
    .option("--force", "replace bronze.yaml where there is one")
    .action((options: InitOptions) => {
      const { output } = createContext(options);
      const proposal = propose(openFolder(resolve(".")), options);
      if (options.print === true) print(output, proposal);
      else {
        const folder = resolve(proposal.folder);
        if (options.force !== true) refuseExisting(join(proposal.folder, "bronze.yaml"));
        writeFiles(folder, proposal.files, options.force === true);
        for (const { path } of proposal.files) output.line(`wrote ${join(proposal.folder, path)}`);
      }
      for (const { what, why } of proposal.assumed) output.note(`assumed: ${what}: ${why}`);
      for (const { what, where, advice } of proposal.notCarriedOver)
        output.note(`${output.paint.warn("not carried over:")} ${what} (${where}): ${advice}`);
      for (const task of proposal.todo) output.note(`${output.paint.warn("to do:")} ${task}`);
      const at = proposal.folder === "" ? "" : `cd ${proposal.folder} && `;
      if (options.print !== true) output.note(`next: ${at}bronze up`);
      output.record({ written: options.print !== true, ...proposal });
    });
}

function print(output: Output, { files, folder }: Proposal): void {
  for (const { path, text } of files) {
    if (files.length > 1) output.line(`# ==> ${join(folder, path)} <==`);
    for (const line of text.trimEnd().split("\n")) output.line(line);
  }
}

/** Before anything is written: the other files would belong to no definition. */
function refuseExisting(path: string): void {
  if (!existsSync(path)) return;
  throw new OperatorError("USAGE", `Cannot write "${path}": it is there already`, {
    hint: "change it by hand; `bronze init --print` shows what would be written, --force replaces it",
  });
}
