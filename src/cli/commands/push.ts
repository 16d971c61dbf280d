import { Command } from "commander";
import { pushImage } from "../../build/exchange/push.ts";
import { parseReference } from "../../image/reference.ts";
import { newestTag, openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { loadProject } from "../project.ts";
import { openRegistry, showTransfer, withRegistry, type RegistryOptions } from "../registry.ts";
import { findImage } from "../store-image.ts";

interface PushOptions extends SharedOptions, RegistryOptions {
  readonly file: string;
}

export function pushCommand(): Command {
  return withRegistry(withShared(new Command("push")))
    .description(
      "Puts an artifact of the local store into a registry, bytes as they are: `bronze push TARGET` the newest of this folder's app, `bronze push ARTIFACT TARGET` another.",
    )
    .argument("<artifact-or-target>", "digest or name in the store; the only argument: where to")
    .argument("[target]", "where to: ghcr.io/team/shop:v1")
    .option("--file <path>", "definition", "bronze.yaml")
    .action(async (first: string, second: string | undefined, options: PushOptions) => {
      const target = parseReference(second ?? first);
      const context = createContext(options);
      const store = openStore(context);
      const artifact = second === undefined ? newestTag((await loadProject(options)).definition.app) : first;
      const digest = await findImage(context, store, artifact, "push artifact");
      const pushed = await showTransfer(context, (report) =>
        pushImage(digest, target, {
          store,
          registry: openRegistry(context, options),
          report,
          signal: context.signal,
        }),
      );
      context.output.line(pushed.name);
      context.output.record(pushed);
    });
}
