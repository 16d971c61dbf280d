import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { readPackages, type ListedPackage } from "../../scan/packages.ts";
import type { TrustMaterial } from "../../trust/standing.ts";
import { predicateTypes } from "../../trust/statement.ts";
import { readAtMost } from "../bounded-file.ts";
import { cacheFolder, tools } from "../local-store.ts";
import type { Context } from "../context.ts";
import { believedStatements } from "../evidence.ts";

const mostBytes = 64 * 2 ** 20;

/**
 * The packages of an artifact, by the bill of materials that was signed with it. Where there are several, all that any of them lists: none
 * can hide what another one tells. Of an image without one it is made now.
 *
 * @throws {OperatorError} `NOT_FOUND`, `VERIFICATION_FAILED` when some were signed and none is believed
 */
export async function packagesOf(
  context: Context,
  store: Store,
  artifact: Digest,
  trust: TrustMaterial,
): Promise<readonly ListedPackage[]> {
  const signed = await believedStatements(store, artifact, predicateTypes.sbom, trust);
  const bills =
    signed.length > 0
      ? signed.map(({ statement }) => statement.predicate)
      : [await billMadeNow(context, store, artifact)];
  const listed = new Map(bills.flatMap(readPackages).map((each) => [each.purl, each]));
  return [...listed.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
}

/** Most artifacts have one that was signed: what looks into layers is loaded for the others only. */
async function billMadeNow(context: Context, store: Store, artifact: Digest): Promise<unknown> {
  const { createBuildCache } = await import("../../build/cache.ts");
  const { billOfStored } = await import("../../build/evidence/stored-bill.ts");
  return billOfStored(store, artifact, {
    cache: createBuildCache(cacheFolder(context)),
    signal: context.signal,
    tools,
  });
}

/** @throws {OperatorError} `NOT_FOUND`, `ARGUMENT_INVALID` when it is no bill of materials */
export async function readBill(path: string): Promise<readonly ListedPackage[]> {
  const text = await readBounded(path).catch((cause: unknown) => {
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError("NOT_FOUND", `Cannot read "${path}"`, { hint: "give a file of CycloneDX JSON", cause });
  });
  let bill: unknown;
  try {
    bill = JSON.parse(text);
  } catch (cause) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot read "${path}": it is no JSON`, {
      hint: "give a file of CycloneDX JSON, as `bronze sbom` prints it",
      cause,
    });
  }
  // As it is printed, or with the statement around it.
  const inside = (bill as { readonly predicate?: unknown } | null)?.predicate;
  return readPackages(inside ?? bill);
}

async function readBounded(path: string): Promise<string> {
  const bytes = await readAtMost(path, mostBytes);
  if (bytes !== undefined) return bytes.toString("utf8");
  throw new OperatorError("ARGUMENT_INVALID", `Cannot read "${path}": it has more than ${mostBytes} bytes`, {
    hint: "give a file of CycloneDX JSON, as `bronze sbom` prints it",
  });
}
