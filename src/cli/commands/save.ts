import { Command, Option } from "commander";
import { saveImages, type SaveFormat } from "../../build/exchange/save.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { parseReference } from "../../image/reference.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { writeArchive } from "../archive-file.ts";
import { findImage } from "../store-image.ts";

interface SaveOptions extends SharedOptions {
  readonly output: string;
  readonly format: SaveFormat;
}

export function saveCommand(): Command {
  return withShared(new Command("save"))
    .description(
      "Writes artifacts of the local store as one archive, the same bytes each time; `docker load`, Podman, skopeo and `bronze import` read it.",
    )
    .argument("<artifacts...>", "names or digests in the store; names are kept in the archive")
    .requiredOption("-o, --output <file>", "where to; - is standard output")
    .addOption(
      new Option("--format <format>", "for OCI readers, for docker load, or for both")
        .choices(["both", "oci", "docker"])
        .default("both"),
    )
    .action(async (artifacts: readonly string[], options: SaveOptions) => {
      if (options.output === "-" && (process.stdout.isTTY || options.json === true))
        throw new OperatorError("USAGE", "Cannot write an archive to a terminal or among JSON", {
          hint: "name a file with -o, or redirect the output",
        });
      const context = createContext(options);
      const store = openStore(context);
      const images = [];
      for (const text of artifacts) {
        const digest = await findImage(context, store, text, "save artifact");
        images.push({ digest, name: text.startsWith("sha256:") ? null : parseReference(text) });
      }
      const { signal } = context;
      let size = 0;
      await saveImages(images, { store, format: options.format, signal }, async (archive) => {
        size = await writeArchive(archive, options.output, signal);
      });
      if (options.output !== "-") context.output.line(options.output);
      context.output.record({ file: options.output, bytes: size, digests: images.map(({ digest }) => digest) });
    });
}
