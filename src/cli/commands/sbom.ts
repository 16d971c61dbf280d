import { Command } from "commander";
import { createBuildCache } from "../../build/cache.ts";
import { billOfStored } from "../../build/evidence/stored-bill.ts";
import type { Json } from "../../model/canonical.ts";
import { renderBill } from "../../render/bill.ts";
import { predicateTypes } from "../../trust/statement.ts";
import { cacheFolder, openStore, tools } from "../local-store.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { believedStatements } from "../evidence.ts";
import { findArtifact } from "../store-image.ts";
import { trustOf } from "../trusted-key.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";

interface SbomOptions extends SharedOptions {
  readonly file: string;
  readonly predicate?: boolean;
  readonly key?: string;
}

/** Where a bill of materials comes from: a signed statement, or a look at the image just now. */
export type BillOrigin = "signed" | "made now";

export function sbomCommand(): Command {
  return withShared(new Command("sbom"))
    .description(
      "Lists what an artifact is made of: Debian, npm, PyPI and Go packages, their licences, and files that belong to none; CycloneDX 1.6 with --json. For an image of others the list is made now.",
    )
    .argument("[artifact]", "app, name or digest in the store (default: the newest of this folder's app)")
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--key <file>", "believe this public key instead of the machine's own: what another machine built")
    .option("--predicate", "print the CycloneDX document instead of a table, as --json does")
    .action(async (text: string | undefined, options: SbomOptions) => {
      const context = createContext(options);
      const { output } = context;
      const store = openStore(context);
      const artifact = await findArtifact(context, store, text, options, "list what is in");
      const { bill, origin } = await billFor(context, store, artifact, options.key);
      if (options.predicate === true) output.line(JSON.stringify(bill));
      else for (const line of renderBill(artifact, bill, origin)) output.line(line);
      output.record(bill);
    });
}

/**
 * The bill of materials of an artifact of the store: the one that was signed when it was built, else one that is made now.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` where one was signed and does not hold
 */
export async function billFor(
  context: Context,
  store: Store,
  artifact: Digest,
  keyFile?: string,
): Promise<{ readonly bill: { readonly [name: string]: Json | undefined }; readonly origin: BillOrigin }> {
  const trust = await trustOf(context, keyFile);
  const [signed] = await believedStatements(store, artifact, predicateTypes.sbom, trust);
  if (signed !== undefined) return { bill: signed.statement.predicate, origin: "signed" };
  const cache = createBuildCache(cacheFolder(context));
  const bill = await billOfStored(store, artifact, { cache, signal: context.signal, tools });
  return { bill, origin: "made now" };
}
