import { Command } from "commander";
import { importImages } from "../../build/exchange/import.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { showTransfer } from "../registry.ts";

export function importCommand(): Command {
  return withShared(new Command("import"))
    .description(
      "Verifies images of an OCI layout folder or archive, or of what `docker save` wrote, and takes them into the local store under their names; a Dockerfile's FROM and `bronze deploy` find them there.",
    )
    .argument("<path>", "OCI layout folder, OCI archive or `docker save` archive, gzipped or not")
    .option("--name <name>", "name in the store, like debian:bookworm; of several images it picks the one of that name")
    .action(async (path: string, options: SharedOptions & { readonly name?: string }) => {
      const context = createContext(options);
      const images = await showTransfer(context, (report) =>
        importImages(path, {
          store: openStore(context),
          signal: context.signal,
          report,
          ...(options.name === undefined ? {} : { name: options.name }),
        }),
      );
      for (const { digest, names } of images)
        context.output.line(images.length === 1 ? digest : `${digest} ${names.join(" ")}`);
      const [only, second] = images;
      context.output.record(
        only !== undefined && second === undefined ? { name: only.names[0] ?? null, ...only } : { images },
      );
    });
}
