import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { openFolder } from "../init/folder.ts";
import { proposeDefinition } from "../init/propose.ts";

const fileName = "bronze.yaml";

export function initCommand(): Command {
  return withShared(new Command("init"))
    .description(
      "Writes bronze.yaml for this folder: from its Dockerfile, its package.json or its index.html. Says what it assumed, never overwrites.",
    )
    .option("--print", "print it, write nothing")
    .action((options: SharedOptions & { readonly print?: boolean }) => {
      const { output } = createContext(options);
      const proposal = proposeDefinition(openFolder(resolve(".")));
      if (options.print === true) for (const line of proposal.yaml.trimEnd().split("\n")) output.line(line);
      else {
        writeNew(fileName, proposal.yaml);
        output.line(`wrote ${fileName}`);
      }
      for (const assumption of proposal.assumed) output.note(`assumed: ${assumption}`);
      for (const task of proposal.todo) output.note(`${output.paint.warn("to do:")} ${task}`);
      if (proposal.todo.length === 0 && options.print !== true) output.note("next: bronze up");
      output.record({ file: options.print === true ? null : fileName, ...proposal });
    });
}

function writeNew(path: string, text: string): void {
  let fd: number;
  try {
    fd = openSync(path, "wx", 0o644);
  } catch (cause) {
    const there = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    throw new OperatorError(
      "USAGE",
      `Cannot write "${path}": ${there ? "it is there already" : "the folder cannot be written to"}`,
      {
        hint: there
          ? "change it by hand, or `bronze init --print` to see what would be written"
          : "run in a folder of yours",
        ...(there ? {} : { cause }),
      },
    );
  }
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
}
