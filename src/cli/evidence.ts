import { OperatorError } from "../errors/operator-error.ts";
import type { Digest } from "../model/canonical.ts";
import type { Store } from "../ports/store.ts";
import { attestationsOf } from "../store/attestations.ts";
import { readBundle } from "../trust/bundle.ts";
import type { TrustMaterial } from "../trust/standing.ts";
import { readStatement, type Statement } from "../trust/statement.ts";
import { judgeBundle } from "../trust/verify.ts";

/** A statement that is believed, and its bytes as they were signed. */
export interface BelievedStatement {
  readonly statement: Statement;
  readonly bytes: Buffer;
}

/**
 * The statements of a kind about an artifact that are believed, in order of their carriers' digests.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` where there are some and none is believed
 */
export async function believedStatements(
  store: Pick<Store, "read" | "referrers">,
  artifact: Digest,
  predicateType: string,
  trust: TrustMaterial,
): Promise<readonly BelievedStatement[]> {
  const found = await attestationsOf(store, artifact, [predicateType]);
  const believed: BelievedStatement[] = [];
  const problems: string[] = [];
  for (const one of found) {
    const verdict = judgeBundle(one, artifact, trust, {}, Date.now());
    const bundle = readBundle(one.bytes);
    if (verdict.problem !== null || typeof bundle === "string") {
      if (verdict.predicateType === predicateType || verdict.predicateType === null)
        problems.push(verdict.problem ?? "it cannot be read");
      continue;
    }
    const statement = readStatement(bundle.payload);
    if (typeof statement !== "string" && statement.predicateType === predicateType)
      believed.push({ statement, bytes: Buffer.from(bundle.payload) });
  }
  if (believed.length === 0 && problems.length > 0)
    throw new OperatorError(
      "VERIFICATION_FAILED",
      `Cannot believe what is said about ${artifact}: ${[...new Set(problems)].slice(0, 3).join("; ")}`,
      { hint: "`bronze verify` shows what does not hold; build it again from its source" },
    );
  return believed;
}
