import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { mediaTypes } from "../../image/media-types.ts";
import { serialiseConfig } from "../../image/oci.ts";
import { sha256 } from "../../model/canonical.ts";
import { createLocalStore } from "../../store/local.ts";
import { archiveOf, goodTar, layoutFiles, newFolder, writeArchive, writeFolder } from "./image-fixture.suite.ts";
import { machineArchitecture } from "../image-state.ts";
import { importImage } from "./import.ts";

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
