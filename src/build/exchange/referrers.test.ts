import assert from "node:assert/strict";
import { chmodSync, rmSync } from "node:fs";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { mediaTypes } from "../../image/media-types.ts";
import { describe, serialiseIndex } from "../../image/oci.ts";
import { emptyConfig, mostReferrers, serialiseReferrer } from "../../image/referrer.ts";
import { digestHex, sha256, type Digest } from "../../model/canonical.ts";
import { createLocalStore, type LocalStore } from "../../store/local.ts";
import { archiveOf, layoutFiles, newFolder, writeArchive, writeFolder } from "./image-fixture.suite.ts";
import { importImage } from "./import.ts";
import { saveImages } from "./save.ts";

const { signal } = new AbortController();
const files = layoutFiles();
const manifest = [...files.values()][2] as Buffer;
const image = sha256(manifest);
const path = (bytes: Buffer): string => `blobs/sha256/${digestHex(sha256(bytes))}`;

function note(text: string, subject = manifest): { readonly manifest: Buffer; readonly blob: Buffer } {
  const blob = Buffer.from(text);
  const about = describe(mediaTypes.manifest, subject);
  const layers = [describe("text/plain", blob)];
  return { blob, manifest: serialiseReferrer({ subject: about, artifactType: "text/note", layers, annotations: {} }) };
}

const imported = (from: string, store: LocalStore): Promise<{ readonly digest: Digest }> =>
  importImage(from, { store, signal, name: "x:1" });

async function saved(store: LocalStore): Promise<Buffer> {
  const pieces: Buffer[] = [];
  await saveImages([{ digest: image, name: null }], { store, format: "both", signal }, async (archive) => {
    for await (const piece of archive) pieces.push(Buffer.from(piece as Buffer));
  });
  return Buffer.concat(pieces);
}

async function storeWithNotes(...texts: readonly string[]): Promise<LocalStore> {
  const store = createLocalStore(newFolder());
  await imported(writeFolder(files), store);
  await store.write(emptyConfig);
  for (const { blob, manifest } of texts.map((text) => note(text))) {
    await store.write(blob);
    await store.attach(manifest);
  }
  return store;
}

test("what is said about an image is in its archive, in the same bytes each time, and is imported with it", async () => {
  const store = await storeWithNotes("one", "two");
  const archive = await saved(store);
  assert.deepEqual(await saved(store), archive);
  const other = createLocalStore(newFolder());
  await imported(writeArchive(archive), other);
  assert.deepEqual(await other.referrers(image), await store.referrers(image));
  assert.equal(String(await other.read(sha256("two"))), "two");
  assert.deepEqual(await saved(other), archive);
});

test("what lacks a part is not saved", async () => {
  const store = await storeWithNotes("one", "two");
  const lost = await store.path(sha256("one"));
  chmodSync(lost, 0o644);
  rmSync(lost);
  const other = createLocalStore(newFolder());
  await imported(writeArchive(await saved(store)), other);
  const kept = await other.referrers(image);
  assert.deepEqual(
    kept.map(({ digest }) => digest),
    [sha256(note("two").manifest)],
  );
});

/** A layout whose index.json lists more than the image. */
function layoutWith(entries: readonly object[], blobs: readonly Buffer[]): Map<string, Buffer> {
  const layout = new Map(files);
  const all = [describe(mediaTypes.manifest, manifest), ...entries] as Parameters<typeof serialiseIndex>[0];
  layout.set("index.json", serialiseIndex(all));
  for (const bytes of [...blobs, emptyConfig]) layout.set(path(bytes), bytes);
  return layout;
}

test("referrers of other tools' layouts are taken: listed beside the image, or under the tag that stands for it", async () => {
  const { blob, manifest: about } = note("one");
  const entry = { ...describe(mediaTypes.manifest, about), artifactType: "text/note" };
  const list = serialiseIndex([describe(mediaTypes.manifest, about)]);
  const name = { "org.opencontainers.image.ref.name": `sha256-${digestHex(image)}` };
  for (const layout of [
    layoutWith([entry], [blob, about]),
    layoutWith([{ ...describe(mediaTypes.index, list), annotations: name }], [blob, about, list]),
  ])
    for (const from of [writeFolder(layout), writeArchive(archiveOf(layout))]) {
      const store = createLocalStore(newFolder());
      assert.equal((await imported(from, store)).digest, image);
      assert.equal((await store.referrers(image)).length, 1);
    }
});

test("what is said about another image is left out; what is missing or too much is refused", async () => {
  const entryOf = (bytes: Buffer): object => ({ ...describe(mediaTypes.manifest, bytes), artifactType: "text/note" });
  const other = note("one", Buffer.from("another"));
  const store = createLocalStore(newFolder());
  const chart = Buffer.from(JSON.stringify({ schemaVersion: 2, config: {}, layers: [] }));
  const entries = [entryOf(other.manifest), entryOf(chart)];
  await imported(writeFolder(layoutWith(entries, [other.manifest, other.blob, chart])), store);
  assert.deepEqual(await store.referrers(image), []);

  const refused = async (layout: Map<string, Buffer>, words: RegExp): Promise<void> => {
    const into = createLocalStore(newFolder());
    await assert.rejects(
      imported(writeFolder(layout), into),
      (error) => error instanceof OperatorError && error.code === "VERIFICATION_FAILED" && words.test(error.message),
    );
    assert.equal(await into.stat(image), undefined);
  };
  const one = note("one");
  await refused(layoutWith([entryOf(one.manifest)], [one.manifest]), /is missing in it/);
  const many = Array.from({ length: mostReferrers.count + 1 }, (_, index) => note(String(index)));
  const listed = many.map(({ manifest }) => entryOf(manifest));
  await refused(
    layoutWith(
      listed,
      many.flatMap(({ manifest, blob }) => [manifest, blob]),
    ),
    /more refers to sha256:/,
  );
});
