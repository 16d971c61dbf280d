import type { Digest } from "../model/canonical.ts";
import { attestationsOf } from "../store/attestations.ts";
import type { LocalStore } from "../store/local.ts";
import type { KeyId } from "../trust/envelope.ts";
import { listedIn, type TrustMaterial } from "../trust/standing.ts";
import { judgeBundle } from "../trust/verify.ts";

/**
 * The statements of a key that are believed: those that the store has, and those that were listed before.
 *
 * @param atMs wall clock; by it a key whose window is over has none but those listed
 */
export async function standingStatements(
  store: Pick<LocalStore, "read" | "referrers" | "subjects">,
  trust: TrustMaterial,
  key: KeyId,
  atMs: number,
): Promise<ReadonlySet<Digest>> {
  const known = trust.log.keys.find(({ id }) => id === key);
  const list = known?.stands === null || known === undefined ? undefined : trust.standing.get(known.stands);
  const standing = new Set<Digest>(list === undefined ? [] : listedIn(list));
  for (const subject of await store.subjects())
    for (const found of await attestationsOf(store, subject)) {
      const verdict = judgeBundle(found, subject, trust, {}, atMs);
      if (verdict.key === key && verdict.problem === null && verdict.statement !== null)
        standing.add(verdict.statement);
    }
  return standing;
}
