import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaTypes } from "../image/media-types.ts";
import { describe } from "../image/oci.ts";
import { emptyConfig, mostReferrers, serialiseReferrer } from "../image/referrer.ts";
import { digestHex, sha256 } from "../model/canonical.ts";
import type { Referrer } from "../ports/store.ts";
import { createLocalStore, type LocalStore } from "../store/local.ts";
import { newClient, newFolder, newServer, referenceTo, signal } from "./fixture.suite.ts";
import { makeImage, publish, type TestRegistry } from "./server.suite.ts";

const image = makeImage([1000]);
const listTag = `sha256-${digestHex(image.digest)}`;
const kind = "application/vnd.example.note";

function noteAbout(text: string, subject = image.manifest): { readonly manifest: Buffer; readonly blob: Buffer } {
  const blob = Buffer.from(text);
  const manifest = serialiseReferrer({
    subject: describe(mediaTypes.manifest, subject),
    artifactType: kind,
    layers: [describe("text/plain", blob)],
    annotations: { "example.note": text },
  });
  return { manifest, blob };
}

async function storeWithNotes(...texts: readonly string[]): Promise<LocalStore> {
  const store = createLocalStore(newFolder());
  for (const bytes of [...image.layers, image.config, image.manifest, emptyConfig]) await store.write(bytes);
  for (const { manifest, blob } of texts.map((text) => noteAbout(text))) {
    await store.write(blob);
    await store.attach(manifest);
  }
  return store;
}

const push = async (server: TestRegistry, store: LocalStore): Promise<void> => {
  const referrers = await store.referrers(image.digest);
  await newClient().push(image.digest, referenceTo(server, "team/shop:v1"), store, { signal, referrers });
};

const listed = (server: TestRegistry): readonly Referrer[] =>
  (JSON.parse(String(server.manifests.get(`team/shop ${listTag}`))) as { manifests: readonly Referrer[] }).manifests;

/** Makes a server list referrers itself, as version 1.1 of the specification has it. */
function listItself(server: TestRegistry): void {
  server.behave = (request, response, path) => {
    const subject = /\/referrers\/(sha256:[0-9a-f]+)$/.exec(path)?.[1];
    if (request.method === "PUT" && path.includes("/manifests/")) response.setHeader("oci-subject", image.digest);
    if (subject === undefined) return false;
    const manifests = [...server.manifests.values()]
      .filter((bytes) => (JSON.parse(bytes.toString()) as { subject?: { digest: string } }).subject?.digest === subject)
      .map((bytes) => describe(mediaTypes.manifest, bytes));
    response.end(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
    return true;
  };
}

test("`push()` sends referrers before the tag, and lists them under the subject's tag where the registry does not", async () => {
  const server = await newServer();
  const store = await storeWithNotes("one", "two");
  await push(server, store);
  const referrers = await store.referrers(image.digest);
  assert.deepEqual(listed(server), referrers);
  for (const { digest } of referrers)
    assert.deepEqual(server.manifests.get(`team/shop ${digest}`), await store.read(digest));
  for (const text of ["one", "two", "{}"]) assert.ok(server.blobs.has(sha256(text)), text);
  assert.equal(server.log.at(-1), "PUT /v2/team/shop/manifests/v1");
});

test("`push()` adds to a list that others began, and writes none where nothing is new", async () => {
  const server = await newServer();
  const others = { ...describe(mediaTypes.manifest, noteAbout("others").manifest), artifactType: "x", "x-own": 1 };
  server.manifests.set(`team/shop ${listTag}`, Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [others] })));
  await push(server, await storeWithNotes("one"));
  assert.deepEqual(listed(server)[0], others);
  assert.equal(listed(server).length, 2);
  server.log.length = 0;
  await push(server, await storeWithNotes("one"));
  assert.ok(!server.log.includes(`PUT /v2/team/shop/manifests/${listTag}`));
});

test("`push()` writes no list where the registry keeps it", async () => {
  const server = await newServer();
  listItself(server);
  await push(server, await storeWithNotes("one"));
  assert.equal(server.manifests.has(`team/shop ${listTag}`), false);
});

for (const way of ["by the registry's list", "by the tag that stands for the subject"])
  test(`\`pullReferrers()\` brings what was pushed, ${way}`, async () => {
    const server = await newServer();
    if (way.startsWith("by the registry")) listItself(server);
    const store = await storeWithNotes("one", "two");
    await push(server, store);
    const other = createLocalStore(newFolder());
    const reference = referenceTo(server, "team/shop:v1");
    const result = await newClient().pullReferrers(reference, image.digest, other, { signal });
    assert.deepEqual(result, { found: 2, taken: 2 });
    assert.deepEqual(await other.referrers(image.digest), await store.referrers(image.digest));
    assert.equal(String(await other.read(sha256("two"))), "two");
  });

test("`pullReferrers()` finds nothing where there is nothing", async () => {
  const server = await newServer();
  publish(server, "team/shop", "v1", image);
  const store = createLocalStore(newFolder());
  const found = await newClient().pullReferrers(referenceTo(server, "team/shop:v1"), image.digest, store, { signal });
  assert.deepEqual(found, { found: 0, taken: 0 });
});

/** A server whose list names these notes. */
async function serverWith(
  notes: readonly { readonly manifest: Buffer; readonly blob: Buffer }[],
): Promise<TestRegistry> {
  const server = await newServer();
  server.blobs.set(sha256(emptyConfig), emptyConfig);
  for (const { manifest, blob } of notes) {
    server.blobs.set(sha256(blob), blob);
    server.manifests.set(`team/shop ${sha256(manifest)}`, manifest);
  }
  const manifests = notes.map(({ manifest }) => describe(mediaTypes.manifest, manifest));
  server.manifests.set(`team/shop ${listTag}`, Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
  return server;
}

const pullFrom = async (server: TestRegistry, store: LocalStore): Promise<{ found: number; taken: number }> =>
  newClient().pullReferrers(referenceTo(server, "team/shop:v1"), image.digest, store, { signal });

test("`pullReferrers()` takes a hundred of a thousand, and says how many there are", async () => {
  const server = await serverWith(Array.from({ length: 1000 }, (_, index) => noteAbout(`note ${index}`)));
  const store = createLocalStore(newFolder());
  assert.deepEqual(await pullFrom(server, store), { found: 1000, taken: mostReferrers.count });
  assert.equal((await store.referrers(image.digest)).length, mostReferrers.count);
});

test("`pullReferrers()` leaves what is about another image, what is gone and bytes that lie, and takes the rest", async () => {
  const [elsewhere, lying, gone, good] = [
    noteAbout("elsewhere", Buffer.from("another")),
    noteAbout("lying"),
    noteAbout("gone"),
    noteAbout("good"),
  ];
  const server = await serverWith([elsewhere, lying, gone, good]);
  server.blobs.set(sha256(lying.blob), Buffer.from("other"));
  server.manifests.delete(`team/shop ${sha256(gone.manifest)}`);
  const store = createLocalStore(newFolder());
  assert.deepEqual(await pullFrom(server, store), { found: 4, taken: 1 });
  assert.deepEqual(
    (await store.referrers(image.digest)).map(({ digest }) => digest),
    [sha256(good.manifest)],
  );
});

test("`pullReferrers()` leaves what is too large", async () => {
  const note = noteAbout("one");
  const huge = Buffer.from(note.manifest.toString().replace('"size":3', `"size":${mostReferrers.bytes}`));
  const server = await serverWith([{ manifest: huge, blob: note.blob }]);
  assert.deepEqual(await pullFrom(server, createLocalStore(newFolder())), { found: 1, taken: 0 });
});
