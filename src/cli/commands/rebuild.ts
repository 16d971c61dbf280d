import { Command, Option } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import { readProvenance } from "../../trust/provenance.ts";
import { predicateTypes } from "../../trust/statement.ts";
import { readBuildOptions, withBuild, type BuildOptions } from "../build-options.ts";
import { openStore } from "../local-store.ts";
import { placeOf } from "../check/not-reproducible.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { believedStatements } from "../evidence.ts";
import { withRegistry, type RegistryOptions } from "../registry.ts";
import { rebuildArtifact, type Rebuilt } from "../rebuild/rebuild-artifact.ts";
import { findImage } from "../store-image.ts";
import { trustOf } from "../trusted-key.ts";

interface Options extends SharedOptions, RegistryOptions, Omit<BuildOptions, "target"> {
  readonly strict?: boolean;
  readonly key?: string;
  readonly source: string;
  readonly progress: "auto" | "plain";
}

export function rebuildCommand(): Command {
  const command = withRegistry(withShared(new Command("rebuild")));
  return withBuild(command, { target: false })
    .description(
      "Makes an artifact again from what its provenance says, and tells whether it is the same to the bit; exit 7 with the first difference where it is not. The store stays as it is.",
    )
    .argument("<artifact>", "digest or name in the store")
    .option("--strict", "refuse and name steps that used the network, instead of taking what they made")
    .option("--key <file>", "believe this public key instead of the machine's own: what another machine built")
    .option("--source <folder>", "a clone of the repository that has the commit", ".")
    .addOption(
      new Option("--progress <style>", "plain: one line after the other with all output, also on a terminal")
        .choices(["auto", "plain"])
        .default("auto"),
    )
    .action(async (text: string, options: Options) => {
      const context = createContext(options);
      const { output } = context;
      const store = openStore(context);
      const artifact = await findImage(context, store, text, "make again");
      const trust = await trustOf(context, options.key);
      const [found] = await believedStatements(store, artifact, predicateTypes.provenance, trust);
      if (found === undefined) throw noProvenance(artifact);
      const provenance = readProvenance(found.statement.predicate);
      if (typeof provenance === "string")
        throw new OperatorError("VERIFICATION_FAILED", `Cannot make ${artifact} again: ${provenance}`, {
          hint: "only what Bronze built can be made again from what is said about it",
        });
      const { buildArgs, secrets } = await readBuildOptions(options);
      const made = await rebuildArtifact(context, store, artifact, provenance, {
        ...options,
        strict: options.strict === true,
        buildArgs,
        secrets,
      });
      for (const step of made.replayed)
        output.note(`step ${step} used the network: what it made was taken as it was kept`);
      for (const step of made.runAgain)
        output.note(`step ${step} used the network and was run again: what it stands on came out otherwise`);
      if (made.digest !== artifact) throw different(artifact, made);
      output.line(`bit-identical ${artifact}`);
      output.record({ artifact, identical: true, replayed: made.replayed, files: made.files });
    });
}

function different(artifact: Digest, { digest, difference }: Rebuilt): OperatorError {
  const place = difference === null ? "its manifest" : placeOf(difference);
  return new OperatorError("NOT_REPRODUCIBLE", `Cannot make ${artifact} again: what came out is ${digest}`, {
    hint: "`bronze build --check` looks for what differs from build to build; another version of a tool shows in `bronze provenance`",
    cause: difference === null ? place : `${place}\nit was: ${difference.first}\nit is:  ${difference.second}`,
    details: { artifact, digest, difference },
  });
}

function noProvenance(artifact: Digest): OperatorError {
  return new OperatorError("NOT_FOUND", `Cannot make ${artifact} again: nobody says how it was made`, {
    hint: "only what `bronze build` made and signed can be made again; images of others have no provenance that Bronze believes",
  });
}
