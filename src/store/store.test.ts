import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { serialiseReferrer } from "../image/referrer.ts";
import { sha256 } from "../model/canonical.ts";
import type { Store } from "../ports/store.ts";
import { readBundle } from "../trust/bundle.ts";
import { keyIdOf, signPayload } from "../trust/envelope.ts";
import { LogWriter, newKey } from "../trust/fixture.suite.ts";
import { predicateTypes, readStatement, statementType } from "../trust/statement.ts";
import { attestationsOf } from "./attestations.ts";
import { createEvidence } from "./evidence.ts";
import { createLocalStore } from "./local.ts";
import { createMemoryStore } from "./memory.ts";

const folders: string[] = [];
function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-store-"));
  folders.push(dir);
  return dir;
}
after(() => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

const bytes = Buffer.from("some bytes");
const withCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof OperatorError && error.code === code;

function conforms(name: string, create: () => Store): void {
  describe(`Store, ${name}`, () => {
    test("`write()` puts bytes and streams under their digest, twice without harm", async () => {
      const store = create();
      const expected = { digest: sha256(bytes), size: bytes.byteLength };
      assert.deepEqual(await store.write(bytes), expected);
      assert.deepEqual(
        await store.write(Readable.from([bytes.subarray(0, 3), bytes.subarray(3)], { objectMode: false })),
        expected,
      );
      assert.equal(await store.stat(expected.digest), expected.size);
      assert.deepEqual(await store.read(expected.digest), bytes);
    });

    test("`write()` shows nothing when the bytes are others than expected, or too many", async () => {
      const store = create();
      const digest = sha256("other");
      await assert.rejects(store.write(bytes, { digest }), withCode("VERIFICATION_FAILED"));
      await assert.rejects(
        store.write(Readable.from([bytes], { objectMode: false }), { digest: sha256(bytes), size: 3 }),
        withCode("VERIFICATION_FAILED"),
      );
      assert.equal(await store.stat(digest), undefined);
      assert.equal(await store.stat(sha256(bytes)), undefined);
    });

    test("`write()` shows nothing when the source breaks off", async () => {
      const store = create();
      const source = Readable.from(
        (async function* () {
          yield bytes;
          throw new Error("broken off");
        })(),
        { objectMode: false },
      );
      await assert.rejects(store.write(source), /broken off/);
      assert.equal(await store.stat(sha256(bytes)), undefined);
    });

    test("`write()` tells of a source that failed before it was read from", async () => {
      const store = create();
      const source = new Readable({ read: () => undefined });
      const writing = store.write(source);
      source.destroy(new Error("gone"));
      await assert.rejects(writing, /gone/);
    });

    test("`stage()` keeps blobs to itself until they are published, and forgets the others", async () => {
      const store = create();
      const own = await store.write(Buffer.from("own"));
      const stage = await store.stage();
      const wanted = await stage.write(Buffer.from("wanted"), { digest: sha256("wanted"), size: 6 });
      const unwanted = await stage.write(Buffer.from("unwanted"));
      assert.deepEqual(await stage.read(wanted.digest), Buffer.from("wanted"));
      assert.equal(await stage.stat(own.digest), 3);
      assert.equal(await store.stat(wanted.digest), undefined);
      await assert.rejects(stage.publish([sha256("none")]), withCode("NOT_FOUND"));
      await stage.publish([wanted.digest, own.digest, wanted.digest]);
      assert.deepEqual(await store.read(wanted.digest), Buffer.from("wanted"));
      assert.deepEqual(await store.read(own.digest), Buffer.from("own"));
      assert.equal(await store.stat(unwanted.digest), undefined);
      await stage.discard();
      const other = await store.stage();
      const lost = await other.write(Buffer.from("lost"));
      await other.discard();
      await other.discard();
      assert.equal(await store.stat(lost.digest), undefined);
    });

    test("`publish()` lists what is said about an artifact once all of it is there, whether or not it was synced before", async () => {
      const store = create();
      const subject = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: sha256("image"), size: 5 };
      const kinds = ["a/one", "a/two"];
      const manifests = kinds.map((artifactType) =>
        serialiseReferrer({ subject, artifactType, layers: [], annotations: {} }),
      );
      const stage = await store.stage();
      const digests = [];
      for (const manifest of manifests) digests.push((await stage.write(manifest)).digest);
      stage.sync([...digests.slice(0, 1), sha256("none")]);
      assert.deepEqual(await store.referrers(subject.digest), []);
      await stage.publish(digests, manifests);
      const listed = await store.referrers(subject.digest);
      assert.deepEqual(listed.map(({ artifactType }) => artifactType).sort(), kinds);
    });

    test("`read()` refuses what is missing and what is larger than asked for", async () => {
      const store = create();
      await assert.rejects(store.read(sha256("x")), withCode("NOT_FOUND"));
      await assert.rejects(store.path(sha256("x")), withCode("NOT_FOUND"));
      const { digest } = await store.write(bytes);
      await assert.rejects(store.read(digest, 3), withCode("VERIFICATION_FAILED"));
    });

    test("`tag()` points a name at a blob, again at another, and lists names in order", async () => {
      const store = create();
      const one = await store.write(Buffer.from("1"));
      const two = await store.write(Buffer.from("2"));
      await store.tag("team/shop:v2", one.digest);
      await store.tag("base:1", one.digest);
      await store.tag("team/shop:v2", two.digest);
      assert.equal(await store.resolve("team/shop:v2"), two.digest);
      assert.equal(await store.resolve("team/shop:v3"), undefined);
      assert.deepEqual(await store.tags(), [
        { name: "base:1", digest: one.digest },
        { name: "team/shop:v2", digest: two.digest },
      ]);
    });

    test("`attach()` lists a manifest with its subject's referrers, once, and by kind", async () => {
      const store = create();
      const subject = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: sha256("image"), size: 5 };
      const about = (artifactType: string, annotations = {}): Buffer =>
        serialiseReferrer({ subject, artifactType, layers: [], annotations });
      const first = await store.attach(about("text/one", { note: "n" }));
      assert.deepEqual(await store.attach(about("text/one", { note: "n" })), first);
      const second = await store.attach(about("text/two"));
      assert.deepEqual(
        await store.referrers(subject.digest),
        [first, second].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
      );
      assert.deepEqual(await store.referrers(subject.digest, "text/one"), [
        { ...first, artifactType: "text/one", annotations: { note: "n" } },
      ]);
      assert.deepEqual(await store.referrers(sha256("other")), []);
      assert.equal((await store.read(first.digest)).byteLength, first.size);
      await assert.rejects(store.attach(Buffer.from('{"schemaVersion":2}')), withCode("VERIFICATION_FAILED"));
    });

    test("`createEvidence()` attaches a signed statement about an artifact, the same one once", async () => {
      const store = create();
      const { digest } = await store.write(Buffer.from('{"mediaType":"text/manifest"}'));
      const evidence = { predicateType: predicateTypes.testResult, predicate: { result: "PASSED" } };
      const log = new LogWriter().bring(newKey());
      const keeper = createEvidence(store, {
        sign: async (payload) => {
          const key = log.active ?? newKey();
          return { keyId: keyIdOf(key), signature: signPayload(key, statementType, payload) };
        },
        trust: async () => log.trust,
      });
      const attached = await keeper.attach(digest, evidence);
      assert.equal(await keeper.attach(digest, evidence), attached);
      const [found, none] = await attestationsOf(store, digest, [predicateTypes.testResult]);
      assert.deepEqual([found?.manifest, none], [attached, undefined]);
      const bundle = readBundle(found?.bytes ?? Buffer.alloc(0));
      assert.ok(typeof bundle !== "string");
      assert.deepEqual(readStatement(bundle.payload), { subject: digest, ...evidence });
      await assert.rejects(keeper.attach(sha256("absent"), evidence), withCode("NOT_FOUND"));
    });

    test("`tag()` refuses names that are none and digests that are not there", async () => {
      const store = create();
      const { digest } = await store.write(bytes);
      for (const name of ["shop", "../x", "Shop:v1", "shop:v 1", `${"a".repeat(300)}:1`])
        await assert.rejects(store.tag(name, digest), withCode("ARGUMENT_INVALID"), name);
      await assert.rejects(store.tag("shop:v1", sha256("absent")), withCode("NOT_FOUND"));
    });
  });
}

conforms("memory", createMemoryStore);
conforms("local", () => createLocalStore(newFolder()));

test("`createLocalStore()` removes what dead writers left and leaves the living alone", async () => {
  const dir = newFolder();
  const first = createLocalStore(dir);
  await first.write(bytes);
  writeFileSync(join(dir, "tmp", "4194304999-1-aa"), "left");
  writeFileSync(join(dir, "tmp", "1-99999999999-bb"), "left by an earlier process of this id");
  await createLocalStore(dir).write(Buffer.from("more"));
  assert.deepEqual(readdirSync(join(dir, "tmp")), []);
});

test("`createLocalStore()` read() refuses a blob whose bytes were changed", async () => {
  const dir = newFolder();
  const store = createLocalStore(dir);
  const { digest } = await store.write(bytes);
  rmSync(await store.path(digest));
  writeFileSync(join(dir, "blobs", "sha256", digest.slice(7)), "same bytes?");
  await assert.rejects(store.read(digest), withCode("VERIFICATION_FAILED"));
});

test("`createLocalStore()` takes the same blob from many writers at once", async () => {
  const dir = newFolder();
  const stores = Array.from({ length: 8 }, () => createLocalStore(dir));
  const results = await Promise.all(stores.map((store) => store.write(Readable.from([bytes], { objectMode: false }))));
  assert.equal(new Set(results.map(({ digest }) => digest)).size, 1);
  assert.deepEqual(readdirSync(join(dir, "tmp")), []);
});
