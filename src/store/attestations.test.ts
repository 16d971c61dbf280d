import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { mediaTypes } from "../image/media-types.ts";
import { describe } from "../image/oci.ts";
import { emptyConfig, serialiseReferrer } from "../image/referrer.ts";
import { digestHex, sha256, type Digest } from "../model/canonical.ts";
import type { Signer } from "../ports/signer.ts";
import { bundleType } from "../trust/bundle.ts";
import { keyIdOf, signPayload } from "../trust/envelope.ts";
import { bundleOf, LogWriter, newKey } from "../trust/fixture.suite.ts";
import { mostStatementBytes, signatureOf, statementType, type Statement } from "../trust/statement.ts";
import { verifyArtifact } from "../trust/verify.ts";
import { attest, attestationBlob, attestationsOf } from "./attestations.ts";
import { createLocalStore, type LocalStore } from "./local.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, layers: [] }));
const artifact = sha256(manifest);
const statement: Statement = { subject: artifact, predicateType: "https://example.test/a", predicate: { n: 1 } };

async function newStore(): Promise<LocalStore> {
  const dir = mkdtempSync(join(tmpdir(), "bronze-attest-"));
  folders.push(dir);
  const store = createLocalStore(dir);
  await store.write(manifest);
  return store;
}

/** A signer in memory, whose key can be another one. */
function newSigner(): Signer & { readonly log: LogWriter } {
  const log = new LogWriter().bring(newKey());
  return {
    log,
    async sign(payload) {
      const key = log.active ?? newKey();
      return { keyId: keyIdOf(key), signature: signPayload(key, statementType, payload) };
    },
    trust: async () => log.trust,
  };
}

test("`attest()` keeps a bundle as sigstore does: artifactType, empty config, one layer, subject, annotations", async () => {
  const store = await newStore();
  const digest = await attest(store, newSigner(), statement);
  const kept = JSON.parse((await store.read(digest)).toString()) as Record<string, unknown>;
  assert.deepEqual(kept["subject"], describe(mediaTypes.manifest, manifest));
  assert.equal(kept["artifactType"], bundleType);
  assert.deepEqual(kept["config"], describe(mediaTypes.empty, emptyConfig));
  assert.deepEqual(kept["annotations"], {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": "https://example.test/a",
  });
  assert.equal((kept["layers"] as { mediaType: string }[])[0]?.mediaType, bundleType);
  assert.equal(await store.read(sha256(emptyConfig)).then(String), "{}");
});

test("`attest()` signs an equal statement once; again with another key, and where the first was damaged", async () => {
  const store = await newStore();
  const signer = newSigner();
  const first = await attest(store, signer, statement);
  assert.equal(await attest(store, signer, { ...statement }), first);
  assert.notEqual(await attest(store, signer, { ...statement, predicate: { n: 2 } }), first);
  signer.log.bring(newKey());
  const second = await attest(store, signer, statement);
  assert.notEqual(second, first);
  const blob = await attestationBlob(store, second);
  assert.ok(blob !== undefined);
  damage(await store.path(blob));
  const third = await attest(store, signer, statement);
  assert.notEqual(third, second);
  assert.equal(await attest(store, signer, statement), third);
});

function damage(path: string): void {
  chmodSync(path, 0o644);
  writeFileSync(path, "damaged");
}

test("`attest()` refuses a statement of 50 MB, and an artifact that the store lacks", async () => {
  const store = await newStore();
  const large = { ...statement, predicate: { text: "x".repeat(50 * 2 ** 20) } };
  await assert.rejects(
    attest(store, newSigner(), large),
    refusedAs("ARGUMENT_INVALID", new RegExp(`at most ${mostStatementBytes}`)),
  );
  await assert.rejects(attest(store, newSigner(), signatureOf(sha256("none"))), refusedAs("NOT_FOUND", /./));
  assert.deepEqual(await store.referrers(artifact), []);
});

test("`attestationsOf()` does not read a bundle of 50 MB, and says so", async () => {
  const store = await newStore();
  const bundle = Buffer.alloc(50_000_000, 0x20);
  await store.write(bundle);
  await store.attach(referrerOf(bundle, {}));
  const [found] = await attestationsOf(store, artifact);
  assert.equal(found?.bytes.byteLength, 0);
  assert.match(found?.unread ?? "", /^it has 50000000 bytes, at most \d+ are read$/);
});

function refusedAs(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof OperatorError && error.code === code && words.test(error.message);
}

test("`attestationsOf()` gives what is of the kinds asked for, and what does not say its kind", async () => {
  const store = await newStore();
  const signer = newSigner();
  await attest(store, signer, statement);
  await attest(store, signer, { ...statement, predicateType: "https://example.test/b" });
  const bundle = bundleOf(newKey(), statement);
  await store.write(bundle);
  await store.attach(referrerOf(bundle, {}));
  const kinds = async (...of: string[]): Promise<unknown> =>
    (await attestationsOf(store, artifact, of))
      .map(({ predicateType }) => predicateType ?? "-")
      .sort((a, b) => (a < b ? -1 : 1));
  assert.deepEqual(await kinds("https://example.test/b"), ["-", "https://example.test/b"]);
  assert.equal((await attestationsOf(store, artifact)).length, 3);
});

function referrerOf(bundle: Buffer, annotations: { readonly [name: string]: string }): Buffer {
  const subject = describe(mediaTypes.manifest, manifest);
  return serialiseReferrer({ subject, artifactType: bundleType, layers: [describe(bundleType, bundle)], annotations });
}
test("`attestationsOf()` gives damaged and lost bundles without bytes, and leaves out damaged manifests", async () => {
  const store = await newStore();
  const signer = newSigner();
  const damaged = await attest(store, signer, statement);
  const blob = await attestationBlob(store, damaged);
  damage(await store.path(blob as Digest));
  const gone = await attest(store, signer, { ...statement, predicate: { n: 2 } });
  damage(await store.path(gone));
  const found = await attestationsOf(store, artifact);
  assert.deepEqual(
    found.map(({ manifest, bytes }) => [manifest, bytes.byteLength]),
    [[damaged, 0]],
  );
});

test("a thousand referrers of strangers hide nothing: the good one is found among them", async () => {
  const store = await newStore();
  const signer = newSigner();
  const good = await attest(store, signer, statement);
  const dir = folders.at(-1) ?? "";
  const stranger = newKey();
  // Without waiting for the disk each time, as the store would.
  const put = (bytes: Buffer): string => {
    const hex = digestHex(sha256(bytes));
    writeFileSync(join(dir, "blobs/sha256", hex), bytes);
    return hex;
  };
  for (let n = 0; n < 1000; n++) {
    const bundle = bundleOf(stranger, { ...statement, predicate: { n } });
    put(bundle);
    const annotations = { "dev.sigstore.bundle.predicateType": statement.predicateType };
    writeFileSync(join(dir, "referrers", digestHex(artifact), put(referrerOf(bundle, annotations))), "");
  }
  const bundles = await attestationsOf(store, artifact);
  assert.equal(bundles.length, 1001);
  const policy = { required: [statement.predicateType] };
  const trust = await signer.trust();
  const decision = verifyArtifact({ digest: artifact, manifest, bundles, trust, policy, nowMs: Date.now() });
  assert.equal(decision.ok, true);
  assert.equal(decision.bundles.at(-1)?.manifest, good);
});
