import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Digest } from "../model/canonical.ts";
import type { Verifier } from "./verifier.ts";

/** A store of artifacts to judge. */
export interface VerifierBench {
  readonly verifier: Verifier;
  /** Puts an image there that was made from others. */
  made(name: string, ...from: readonly Digest[]): Promise<Digest>;
  /** Something happens to a key. */
  changeKeys(): Promise<void>;
  readonly lacking: Digest;
}

/** What every verifier does. */
export function verifierSuite(name: string, open: (t: TestContext) => Promise<VerifierBench>): void {
  test(`${name}: descents() tells one way to each image that was asked for, the nearest first`, async (t) => {
    const { verifier, made } = await open(t);
    const [base, tools] = [await made("base"), await made("tools")];
    const middle = await made("middle", base);
    const app = await made("app", middle, tools, base);
    const far = await made("far", middle, tools);
    assert.deepEqual(await verifier.descents(app, [app, base, middle]), [
      { artifact: app, from: app, chain: [app] },
      { artifact: app, from: middle, chain: [app, middle] },
      { artifact: app, from: base, chain: [app, base] },
    ]);
    assert.deepEqual(await verifier.descents(far, [base, tools]), [
      { artifact: far, from: tools, chain: [far, tools] },
      { artifact: far, from: base, chain: [far, middle, base] },
    ]);
    assert.deepEqual(await verifier.descents(base, [app]), []);
  });

  test(`${name}: descendants() tells each artifact that was made from an image once, the nearest first`, async (t) => {
    const { verifier, made } = await open(t);
    const base = await made("base");
    const middle = await made("middle", base);
    const other = await made("other", base);
    const app = await made("app", middle, other);
    const found = await verifier.descendants(base);
    assert.deepEqual(
      found.map(({ artifact, from, chain }) => [artifact, from, chain.length, chain[0], chain.at(-1)]),
      [...[middle, other].sort().map((one) => [one, base, 2, one, base]), [app, base, 3, app, base]],
    );
    assert.deepEqual(await verifier.descendants(app), []);
  });

  test(`${name}: keyLog() is another one when something happened to a key, and what was judged says by which`, async (t) => {
    const { verifier, made, changeKeys } = await open(t);
    const app = await made("app", await made("base"));
    await changeKeys();
    const before = await verifier.keyLog();
    assert.equal(await verifier.keyLog(), before);
    const { keyLog, origin } = await verifier.verify(app);
    assert.deepEqual([keyLog, origin], [before, "built"]);
    await changeKeys();
    const after = await verifier.keyLog();
    assert.notEqual(after, before);
    assert.equal((await verifier.verify(app)).keyLog, after);
  });

  test(`${name}: verify() throws NOT_FOUND for an artifact the store lacks`, async (t) => {
    const { verifier, lacking } = await open(t);
    await assert.rejects(verifier.verify(lacking), { code: "NOT_FOUND" });
  });
}
