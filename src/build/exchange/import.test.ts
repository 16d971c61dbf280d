import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { mediaTypes } from "../../image/media-types.ts";
import { serialiseConfig, serialiseIndex } from "../../image/oci.ts";
import { parseReference } from "../../image/reference.ts";
import { sha256 } from "../../model/canonical.ts";
import { createLocalStore } from "../../store/local.ts";
import {
  archiveOf,
  folder,
  goodTar,
  layoutFiles,
  member,
  newFolder,
  symlink,
  tar,
  writeArchive,
  writeFolder,
} from "./image-fixture.suite.ts";
import { machineArchitecture } from "../image-state.ts";
import { importImage, importImages } from "./import.ts";
import { saveImages, type SaveFormat } from "./save.ts";

const importInto = (path: string, store = createLocalStore(newFolder())): ReturnType<typeof importImage> =>
  importImage(path, { store, signal: new AbortController().signal, name: "x:1" });
test("`importImage()` keeps manifest and layers byte for byte, from folder, archive and gzipped archive", async () => {
  for (const [mediaType, layer] of [
    [mediaTypes.layer, goodTar],
    [`${mediaTypes.layer}+gzip`, gzipSync(goodTar)],
    [`${mediaTypes.layer}+zstd`, zstdCompressSync(goodTar)],
  ] as const) {
    const files = layoutFiles({ mediaType, layer });
    const archive = archiveOf([...files].reverse());
    const digests = new Set<string>();
    for (const path of [writeFolder(files), writeArchive(archive), writeArchive(gzipSync(archive))]) {
      const store = createLocalStore(newFolder());
      const imported = await importInto(path, store);
      assert.equal(imported.layers[0]?.digest, sha256(layer));
      assert.deepEqual(imported.config.cmd, ["/app"]);
      assert.equal(await store.resolve("x:1"), imported.digest);
      assert.equal((await importInto(path, store)).cached, true);
      digests.add(imported.digest);
    }
    assert.equal(digests.size, 1);
  }
});

test("`importImage()` takes what docker save writes", async () => {
  const config = serialiseConfig({
    architecture: machineArchitecture(),
    os: "linux",
    config: {},
    diffIds: [sha256(goodTar)],
    history: [],
  });
  const name = `${sha256(config).slice(7)}.json`;
  const list = Buffer.from(JSON.stringify([{ Config: name, RepoTags: ["shop:1"], Layers: ["aa/layer.tar"] }]));
  const files: [string, Buffer][] = [
    ["aa/layer.tar", goodTar],
    [name, config],
    ["manifest.json", list],
  ];
  assert.equal((await importInto(writeArchive(archiveOf(files)))).layers[0]?.digest, sha256(goodTar));
});

function labelled(names: readonly string[], content: string): { files: Map<string, Buffer>; entries: object[] } {
  const files = layoutFiles({ layerTar: tar([member("app", content)]) });
  const index = JSON.parse(files.get("index.json")?.toString() ?? "") as { manifests: object[] };
  files.delete("index.json");
  const entries = names.map((name) => ({ ...index.manifests[0], annotations: { "io.containerd.image.name": name } }));
  return { files, entries: names.length === 0 ? index.manifests : entries };
}

test("`importImages()` takes all images of an archive under their own names, or the one that is named", async () => {
  const shop = labelled(["docker.io/library/shop:1", "ghcr.io/team/shop:v1"], "shop");
  const base = labelled(["docker.io/library/base:1"], "base");
  const index = serialiseIndex([...shop.entries, ...base.entries] as never);
  const archive = writeArchive(
    archiveOf([...shop.files, ...[...base.files].filter(([name]) => !shop.files.has(name)), ["index.json", index]]),
  );
  const { signal } = new AbortController();
  const store = createLocalStore(newFolder());
  const all = await importImages(archive, { store, signal });
  assert.deepEqual(
    all.map(({ names }) => names),
    [["shop:1", "ghcr.io/team/shop:v1"], ["base:1"]],
  );
  assert.equal(await store.resolve("ghcr.io/team/shop:v1"), all[0]?.digest);
  assert.equal(await store.resolve("base:1"), all[1]?.digest);
  const other = createLocalStore(newFolder());
  const [one] = await importImages(archive, { store: other, signal, name: "docker.io/base:1" });
  assert.equal(one?.digest, all[1]?.digest);
  assert.deepEqual(
    (await other.tags()).map(({ name }) => name).filter((name) => !name.startsWith("imported:")),
    ["base:1"],
  );
  await assert.rejects(importImages(archive, { store: other, signal, name: "none:1" }), /it holds 2 images/);
  await assert.rejects(importImage(archive, { store: other, signal }), /it holds several/);
});

test("`importImages()` asks which, where several have no names, and leaves nothing", async () => {
  const one = labelled([], "one");
  const two = labelled(["latest"], "two");
  const index = serialiseIndex([...one.entries, ...two.entries] as never);
  const path = writeArchive(
    archiveOf([...one.files, ...[...two.files].filter(([name]) => !one.files.has(name)), ["index.json", index]]),
  );
  const store = createLocalStore(newFolder());
  await assert.rejects(importImages(path, { store, signal: new AbortController().signal }), /it holds 2 images/);
  assert.deepEqual(await store.tags(), []);
});

test("`importImages()` takes what docker save writes of several images, with layers in folders, linked and compressed", async () => {
  const config = (content: string): Buffer =>
    serialiseConfig({
      architecture: machineArchitecture(),
      os: "linux",
      config: { Labels: { content } },
      diffIds: [sha256(goodTar), sha256(goodTar)],
      history: [],
    });
  const name = (bytes: Buffer): string => `${sha256(bytes).slice(7)}.json`;
  const [one, two] = [config("one"), config("two")];
  const list = [
    { Config: name(one), RepoTags: ["shop:1", "shop:latest"], Layers: ["aa/layer.tar", "bb/layer.tar"] },
    { Config: name(two), RepoTags: ["registry.example:5000/base:1"], Layers: ["cc/layer.tar", "aa/layer.tar"] },
  ];
  const archive = tar([
    folder("aa"),
    member("aa/layer.tar", goodTar),
    member("aa/VERSION", "1.0"),
    folder("bb"),
    symlink("bb/layer.tar", "../aa/layer.tar"),
    folder("cc"),
    member("cc/layer.tar", gzipSync(goodTar)),
    member(name(one), one),
    member(name(two), two),
    member("manifest.json", JSON.stringify(list)),
    member("repositories", "{}"),
  ]);
  const store = createLocalStore(newFolder());
  const images = await importImages(writeArchive(gzipSync(archive)), { store, signal: new AbortController().signal });
  assert.deepEqual(
    images.map(({ names }) => names),
    [["shop:1", "shop:latest"], ["registry.example:5000/base:1"]],
  );
  assert.deepEqual(
    images.map(({ layers }) => layers.map(({ mediaType }) => mediaType.replace(/^.*tar/, "tar"))),
    [
      ["tar", "tar"],
      ["tar+gzip", "tar"],
    ],
  );
});

test("`saveImages()` writes the same bytes each time, and what it wrote is imported as the same images", async () => {
  const { signal } = new AbortController();
  const store = createLocalStore(newFolder());
  const zstd = await importInto(
    writeFolder(layoutFiles({ mediaType: `${mediaTypes.layer}+zstd`, layer: zstdCompressSync(goodTar) })),
    store,
  );
  const plain = await importInto(writeFolder(layoutFiles({ layerTar: tar([member("other", "x")]) })), store);
  const images = [
    { digest: zstd.digest, name: parseReference("shop:1") },
    { digest: plain.digest, name: parseReference("ghcr.io/team/base:v2") },
  ];
  const save = async (format: SaveFormat): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    await saveImages(images, { store, format, signal }, async (archive) => {
      for await (const piece of archive) pieces.push(Buffer.from(piece as Buffer));
    });
    return Buffer.concat(pieces);
  };
  const both = await save("both");
  assert.deepEqual(await save("both"), both);
  for (const format of ["both", "oci", "docker"] as const) {
    const other = createLocalStore(newFolder());
    const imported = await importImages(writeArchive(await save(format)), { store: other, signal });
    assert.deepEqual(
      imported.map(({ names }) => names),
      [["shop:1"], ["ghcr.io/team/base:v2"]],
    );
    // Docker's form has no manifests: config and layers are the image.
    if (format === "docker")
      assert.deepEqual(
        imported.map(({ layers }) => layers[0]?.digest),
        [sha256(goodTar), plain.layers[0]?.digest],
      );
    else
      assert.deepEqual(
        imported.map(({ digest }) => digest),
        [zstd.digest, plain.digest],
      );
  }
  const index = await store.write(serialiseIndex([]));
  await assert.rejects(
    saveImages([{ digest: index.digest, name: null }], { store, format: "both", signal }, async () => undefined),
    /index of several/,
  );
});
