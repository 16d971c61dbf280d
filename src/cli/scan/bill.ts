import { open } from "node:fs/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Signer } from "../../ports/signer.ts";
import type { Store } from "../../ports/store.ts";
import { readPackages, type ListedPackage } from "../../scan/packages.ts";
import { predicateTypes } from "../../trust/statement.ts";
import { believedStatements } from "./statements.ts";

const mostBytes = 64 * 2 ** 20;

/**
 * The packages of an artifact, by the bill of materials that was signed with it. Where there are several, all that any of them lists: none
 * can hide what another one tells.
 *
 * @throws {OperatorError} `NOT_FOUND` when it has none, `VERIFICATION_FAILED` when none is believed
 */
export async function packagesOf(store: Store, signer: Signer, artifact: Digest): Promise<readonly ListedPackage[]> {
  const { predicates, problems } = await believedStatements(store, signer, artifact, predicateTypes.sbom);
  const listed = new Map(predicates.flatMap(readPackages).map((each) => [each.purl, each]));
  if (predicates.length > 0) return [...listed.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
  const [problem] = problems;
  if (problem !== undefined) {
    throw new OperatorError("VERIFICATION_FAILED", `Cannot scan ${artifact}: its bill of materials is not believed`, {
      hint: "build it again; `bronze verify` says more",
      cause: problem,
    });
  }
  throw new OperatorError("NOT_FOUND", `Cannot scan ${artifact}: it has no bill of materials`, {
    hint: "build it again, which makes one; or give one: `bronze scan --sbom FILE`",
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
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > mostBytes)
      throw new OperatorError("ARGUMENT_INVALID", `Cannot read "${path}": it has ${size} bytes`, {
        hint: `a bill of materials has at most ${mostBytes} bytes`,
      });
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
