import { join } from "node:path";
import { Command } from "commander";
import { lockProject } from "../../build/lock.ts";
import type { PinChange, PinOptions } from "../../build/pins.ts";
import { parseAppName } from "../../model/names.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { loadProject, loadProjects, type Project } from "../project.ts";
import { openRegistry, withRegistry, type RegistryOptions } from "../registry.ts";

interface LockOptions extends SharedOptions, RegistryOptions {
  readonly file: string;
  readonly app?: string;
  readonly update?: boolean;
}

export function lockCommand(): Command {
  return withRegistry(withShared(new Command("lock")))
    .description(
      "Pins in bronze.lock what this folder's build takes from outside; what is pinned stays, unless it is to be updated.",
    )
    .argument("[names...]", "only these bases or packages")
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--app <name>", "of several apps only this one", parseAppName)
    .option("--update", "move pins to what is newest, and print what moved")
    .action(async (names: readonly string[], options: LockOptions) => {
      const context = createContext(options);
      const { output, places, signal } = context;
      const projects = names.length > 0 ? [await loadProject(options)] : await loadProjects(options);
      const changes = await lockAll(projects, await loadProjects({ file: options.file }), {
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

/** Apps of one folder share its bronze.lock: what one of them pins, another leaves there. */
async function lockAll(
  projects: readonly Project[],
  all: readonly Project[],
  options: Omit<PinOptions, "projectDir">,
): Promise<readonly PinChange[]> {
  const changes: PinChange[] = [];
  for (const { definition, folder } of projects) {
    const others = all.filter((other) => other.folder === folder && other.definition.app !== definition.app);
    const beside = others.map((other) => other.definition.build);
    changes.push(...(await lockProject(definition.build, { ...options, projectDir: folder, beside })));
  }
  return changes;
}
