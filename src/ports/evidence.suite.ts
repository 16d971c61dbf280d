import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Digest } from "../model/canonical.ts";
import type { Evidence, EvidenceKeeper } from "./evidence.ts";

/** Artifacts to say something about. */
export interface EvidenceBench {
  readonly keeper: EvidenceKeeper;
  /** Two that are there. */
  readonly artifacts: readonly [Digest, Digest];
  readonly lacking: Digest;
  /** How many pieces are kept about an artifact. */
  count(artifact: Digest): Promise<number>;
}

const evidence = (predicate: Evidence["predicate"]): Evidence => ({
  predicateType: "https://in-toto.io/attestation/test-result/v0.1",
  predicate,
});

/** What everybody does who keeps evidence. */
export function evidenceSuite(name: string, open: (t: TestContext) => Promise<EvidenceBench>): void {
  test(`${name}: attach() keeps the same evidence once, in whatever order it is written, each piece by its own digest`, async (t) => {
    const { keeper, artifacts, count } = await open(t);
    const [one, other] = artifacts;
    const first = await keeper.attach(one, evidence({ result: "PASSED", n: 1 }));
    assert.equal(await keeper.attach(one, evidence({ n: 1, result: "PASSED" })), first);
    assert.deepEqual([await count(one), await count(other)], [1, 0]);
    const digests = new Set([
      first,
      await keeper.attach(one, evidence({ result: "PASSED", n: 2 })),
      await keeper.attach(one, { ...evidence({ result: "PASSED", n: 1 }), predicateType: "https://example.test/a" }),
      await keeper.attach(other, evidence({ result: "PASSED", n: 1 })),
    ]);
    assert.equal(digests.size, 4);
    assert.deepEqual([await count(one), await count(other)], [3, 1]);
  });

  test(`${name}: attach() asked for twice at once keeps it once`, async (t) => {
    const { keeper, artifacts, count } = await open(t);
    const [one] = artifacts;
    const digests = await Promise.all([1, 2, 3].map(() => keeper.attach(one, evidence({ n: 1 }))));
    assert.equal(new Set(digests).size, 1);
    assert.equal(await count(one), 1);
  });

  test(`${name}: attach() throws NOT_FOUND for an artifact the store lacks`, async (t) => {
    const { keeper, lacking, count } = await open(t);
    await assert.rejects(keeper.attach(lacking, evidence({ n: 1 })), { code: "NOT_FOUND" });
    assert.equal(await count(lacking), 0);
  });
}
