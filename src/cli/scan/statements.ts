import type { Digest } from "../../model/canonical.ts";
import type { Signer } from "../../ports/signer.ts";
import type { Store } from "../../ports/store.ts";
import { attestationsOf } from "../../store/attestations.ts";
import { readBundle } from "../../trust/bundle.ts";
import { readStatement, type Statement } from "../../trust/statement.ts";
import { judgeBundle } from "../../trust/verify.ts";

/** What is said of an artifact by statements of one kind, as far as it is believed. */
export interface Believed {
  readonly predicates: readonly Statement["predicate"][];
  /** Why others are not, in words. */
  readonly problems: readonly string[];
}

export async function believedStatements(
  store: Store,
  signer: Signer,
  artifact: Digest,
  predicateType: string,
): Promise<Believed> {
  const trust = await signer.trust();
  const predicates: Statement["predicate"][] = [];
  const problems: string[] = [];
  for (const found of await attestationsOf(store, artifact, [predicateType])) {
    const verdict = judgeBundle(found, artifact, trust, {}, Date.now());
    if (verdict.problem !== null) {
      problems.push(verdict.problem);
      continue;
    }
    if (verdict.predicateType !== predicateType) continue;
    const bundle = readBundle(found.bytes);
    const statement = typeof bundle === "string" ? bundle : readStatement(bundle.payload);
    if (typeof statement !== "string") predicates.push(statement.predicate);
  }
  return { predicates, problems };
}
