import { Command } from "commander";
import { pullImage } from "../../build/exchange/pull.ts";
import { machineArchitecture } from "../../build/image-state.ts";
import { parsePlatform, parseReference } from "../../image/reference.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { openRegistry, showTransfer, withRegistry, type RegistryOptions } from "../registry.ts";

export function pullCommand(): Command {
  return withRegistry(withShared(new Command("pull")))
    .description(
      "Brings an image of a registry into the local store, verified, under its name there; a Dockerfile's FROM and `bronze deploy` find it.",
    )
    .argument("<name>", "as Docker writes names: node:22, ghcr.io/team/shop:v1, NAME@sha256:…")
    .option("--platform <platform>", "default: this machine's", parsePlatform)
    .action(async (name: string, options: SharedOptions & RegistryOptions & { readonly platform?: string }) => {
      const reference = parseReference(name);
      const context = createContext(options);
      const pulled = await showTransfer(context, (report) =>
        pullImage(reference, {
          store: openStore(context),
          registry: openRegistry(context, options),
          platform: options.platform ?? `linux/${machineArchitecture()}`,
          report,
          signal: context.signal,
        }),
      );
      context.output.line(pulled.digest);
      context.output.record(pulled);
    });
}
