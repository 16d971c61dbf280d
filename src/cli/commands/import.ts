import { Command } from "commander";
import { importImage } from "../../build/exchange/import.ts";
import { openStore } from "../build-project.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";

export function importCommand(): Command {
  return withShared(new Command("import"))
    .description(
      "Verifies an OCI layout folder or archive and takes it into the local store; a Dockerfile's FROM and `bronze deploy` find it there.",
    )
    .argument("<path>", "OCI layout folder, OCI archive or `docker save` archive")
    .option("--name <name>", "name it in the store, like debian:bookworm")
    .action(async (path: string, options: SharedOptions & { readonly name?: string }) => {
      const context = createContext(options);
      const image = await importImage(path, {
        store: openStore(context),
        signal: context.signal,
        ...(options.name === undefined ? {} : { name: options.name }),
      });
      context.output.line(image.digest);
      context.output.record({ name: options.name ?? null, ...image });
    });
}
