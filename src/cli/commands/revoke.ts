import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import { parseIndex } from "../../image/oci.ts";
import { isDigest, type Digest } from "../../model/canonical.ts";
import type { RevokedRow, RevokeRequest, RevokeResult } from "../../model/api/trust.ts";
import type { Store } from "../../ports/store.ts";
import { isIndex } from "../../build/exchange/take.ts";
import { renderRevocation, renderRevoked } from "../../render/revoked.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { ensureDaemon } from "../daemon-start.ts";
import { followDone } from "../follow.ts";
import { findImage } from "../store-image.ts";
import { whoAsks } from "../who.ts";

interface RevokeOptions extends SharedOptions {
  readonly reason?: string;
  readonly undo?: boolean;
}

export function revokeCommand(): Command {
  return withShared(new Command("revoke"))
    .description(
      "Revokes an artifact or a base image: neither it nor what was made from it is released any more. What runs of it is told, and taken back where its environment says `revoked: replace`. Without an artifact: what is revoked.",
    )
    .argument("[artifact]", "digest, its first characters or name in the store")
    .option("-m, --reason <text>", "why, for those whom it stops")
    .option("--undo", "lift the revocation")
    .action(async (name: string | undefined, options: RevokeOptions) => {
      if (name === undefined && (options.undo === true || options.reason !== undefined))
        throw new OperatorError(
          "USAGE",
          `Cannot ${options.undo === true ? "lift a revocation" : "revoke"}: no artifact is named`,
          {
            hint: "`bronze revoke` shows what is revoked; `bronze revoke ARTIFACT --undo` lifts it",
          },
        );
      const context = createContext(options, {
        onceAsked: "what was asked for goes on in the daemon: look with `bronze revoke`",
      });
      const { output, client, signal } = context;
      // For what is named wrongly no daemon is started.
      const artifacts = name === undefined ? [] : await meant(context, openStore(context), name, options.undo === true);
      await ensureDaemon(context, {});
      if (name === undefined) {
        const rows = await client.get<readonly RevokedRow[]>("/v1/revoked", {}, signal);
        for (const line of renderRevoked(rows)) output.line(line);
        output.record(rows);
        return;
      }
      const results: RevokeResult[] = [];
      for (const artifact of artifacts) {
        const body: RevokeRequest = {
          artifact,
          who: whoAsks(),
          why: options.reason ?? "",
          ...(options.undo === true ? { undo: true } : {}),
        };
        const result = await followDone<RevokeResult>(context, "/v1/revoke", body);
        for (const line of renderRevocation(result, options.undo === true, output.paint)) output.line(line);
        results.push(result);
      }
      output.record(results.length === 1 ? results[0] : results);
    });
}

/** The images that are meant: of an index all that it names, and itself. A whole digest may be of what never came here. */
async function meant(context: Context, store: Store, name: string, undo: boolean): Promise<readonly Digest[]> {
  const digest = isDigest(name) ? name : await findImage(context, store, name, undo ? "reinstate" : "revoke");
  try {
    const bytes = await store.read(digest);
    return isIndex(bytes) ? [digest, ...parseIndex(bytes).map((one) => one.digest)] : [digest];
  } catch (error) {
    // What is damaged, or not here, can be revoked all the same.
    if (error instanceof OperatorError) return [digest];
    throw error;
  }
}
