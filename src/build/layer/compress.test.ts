import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { mediaTypes } from "../../image/media-types.ts";
import { sha256 } from "../../model/canonical.ts";
import type { Descriptor } from "../../ports/store.ts";
import { createLocalStore, type LocalStore } from "../../store/local.ts";
import { createBuildCache } from "../cache.ts";
import { member, newFolder, tar } from "../exchange/image-fixture.suite.ts";
import { layerTar } from "./blob.ts";
import { compressLayer } from "./compress.ts";

const signal = new AbortController().signal;

/** Bytes that look like a program's, the same on every machine; more than two frames of zstd. */
const archive = tar([member("data", Buffer.from(Array.from({ length: 18 << 20 }, (_, at) => (at * at * 31) >> 7)))]);

async function compress(to: "gzip" | "zstd", store: LocalStore): Promise<Descriptor> {
  const layer = { mediaType: mediaTypes.layer, ...(await store.write(archive)) };
  return compressLayer(store, layer, to, { cache: createBuildCache(newFolder()), signal });
}

test("compressLayer() makes these bytes and no others: an encoder that changes them changes artifacts", async () => {
  const store = createLocalStore(newFolder());
  const digests = { gzip: (await compress("gzip", store)).digest, zstd: (await compress("zstd", store)).digest };
  assert.deepEqual(digests, {
    gzip: "sha256:1611932cbb77e0b8f8cf0e4f71963613f00c35af3ee44a637dc30675e8e5ddc3",
    zstd: "sha256:6c3e36e181be7a0147ac44a3d41c8527731b8868e5c298356dee42aa3ae4ea36",
  });
});

test("compressLayer() gives what everybody reads, and a gzip header without time, name and system", async () => {
  const store = createLocalStore(newFolder());
  for (const to of ["gzip", "zstd"] as const) {
    const layer = await compress(to, store);
    assert.equal(layer.mediaType, `${mediaTypes.layer}+${to}`);
    const bytes = await store.read(layer.digest, 64 << 20);
    assert.equal(bytes.byteLength, layer.size);
    assert.equal(sha256(to === "gzip" ? gunzipSync(bytes) : zstdDecompressSync(bytes)), sha256(archive));
    const pieces: Buffer[] = [];
    for await (const piece of layerTar(store, layer)) pieces.push(piece);
    assert.equal(sha256(Buffer.concat(pieces)), sha256(archive));
    if (to === "gzip") assert.equal(bytes.toString("hex", 0, 10), "1f8b08000000000000ff");
  }
});

test("compressLayer() leaves a compressed layer alone and finds what it made before", async () => {
  const store = createLocalStore(newFolder());
  const cache = createBuildCache(newFolder());
  const layer = { mediaType: mediaTypes.layer, ...(await store.write(tar([member("a", "b")]))) };
  const made = await compressLayer(store, layer, "zstd", { cache, signal });
  assert.deepEqual(await compressLayer(store, made, "gzip", { cache, signal }), made);
  const blobs = { ...store, write: () => Promise.reject(new Error("nothing is to be made")) };
  assert.deepEqual(await compressLayer(blobs, layer, "zstd", { cache, signal }), made);
});
