import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import { renderProvenance } from "../../render/provenance.ts";
import { readProvenance } from "../../trust/provenance.ts";
import { predicateTypes } from "../../trust/statement.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { believedStatements } from "../evidence.ts";
import { findArtifact } from "../store-image.ts";
import { trustOf } from "../trusted-key.ts";

interface ProvenanceOptions extends SharedOptions {
  readonly file: string;
  readonly predicate?: boolean;
  readonly key?: string;
}

export function provenanceCommand(): Command {
  return withShared(new Command("provenance"))
    .description(
      "Tells how an artifact was made: its source, what went into it, its steps and what they did on the network, as signed by this machine's key.",
    )
    .argument("[artifact]", "app, name or digest in the store (default: the newest of this folder's app)")
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--key <file>", "believe this public key instead of the machine's own: what another machine built")
    .option("--predicate", "print the SLSA predicate as JSON, byte for byte as it was signed")
    .action(async (text: string | undefined, options: ProvenanceOptions) => {
      const context = createContext(options);
      const { output } = context;
      const store = openStore(context);
      const artifact = await findArtifact(context, store, text, options, "tell the provenance of");
      const trust = await trustOf(context, options.key);
      const [found] = await believedStatements(store, artifact, predicateTypes.provenance, trust);
      if (found === undefined) throw noProvenance(artifact);
      const provenance = readProvenance(found.statement.predicate);
      if (typeof provenance === "string")
        throw new OperatorError("VERIFICATION_FAILED", `Cannot believe what is said about ${artifact}: ${provenance}`, {
          hint: "`bronze attest` may have signed it; `--predicate` would print what this version does not understand",
        });
      if (options.predicate === true) output.line(predicateText(found.bytes));
      else for (const line of renderProvenance(artifact, provenance, output.paint)) output.line(line);
      output.record(JSON.parse(found.bytes.toString("utf8")) as object);
    });
}

/** The predicate's own bytes: a statement is canonical JSON, in which it comes after `_type`. */
function predicateText(statement: Buffer): string {
  const { predicate } = JSON.parse(statement.toString("utf8")) as { readonly predicate: object };
  return JSON.stringify(predicate);
}

function noProvenance(artifact: Digest): OperatorError {
  return new OperatorError("NOT_FOUND", `Cannot tell the provenance of ${artifact}: nobody says how it was made`, {
    hint: "images of others have none that Bronze believes, nor has what was built before `bronze build` signed; build it again",
  });
}
