import { join } from "node:path";
import { Command } from "commander";
import { lockProject } from "../../build/lock.ts";
import { openStore } from "../build-project.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { loadProject } from "../project.ts";
import { openRegistry, withRegistry, type RegistryOptions } from "../registry.ts";

interface LockOptions extends SharedOptions, RegistryOptions {
  readonly file: string;
  readonly update?: boolean;
}

export function lockCommand(): Command {
  return withRegistry(withShared(new Command("lock")))
    .description(
      "Pins in bronze.lock what this folder's build takes from outside; what is pinned stays, unless it is to be updated.",
    )
    .argument("[names...]", "only these bases or packages")
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--update", "move pins to what is newest, and print what moved")
    .action(async (names: readonly string[], options: LockOptions) => {
      const context = createContext(options);
      const { output, places, signal } = context;
      const { definition, folder } = await loadProject(options);
      const changes = await lockProject(definition.build, {
        projectDir: folder,
        store: openStore(context),
        registry: openRegistry(context, options),
        cacheDir: join(places.state, "cache"),
        report: (event) => {
          if (event.kind === "note") output.note(output.paint.dim(`  ${event.text}`));
        },
        signal,
        update: options.update === true,
        only: names,
      });
      for (const { name, from, to } of changes) {
        if (to === null) output.line(`${name} ${from ?? ""} is needed no more`);
        else output.line(from === null ? `${name} ${to}` : `${name} ${from} → ${to}`);
      }
      if (changes.length === 0) output.note(options.update === true ? "nothing has moved" : "everything is pinned");
      output.record({ changes });
    });
}
