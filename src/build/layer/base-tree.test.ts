import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaTypes } from "../../image/media-types.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { createLocalStore } from "../../store/local.ts";
import { readBaseTree } from "./base-tree.ts";
import { createBuildCache } from "../cache.ts";
import { folder, member, newFolder, symlink, tar } from "../exchange/image-fixture.suite.ts";

async function treeOf(...layers: readonly (readonly TarSource[])[]): Promise<readonly string[]> {
  const store = createLocalStore(newFolder());
  const written = [];
  for (const sources of layers) written.push({ mediaType: mediaTypes.layer, ...(await store.write(tar(sources))) });
  return [...(await readBaseTree(store, written, createBuildCache(newFolder()))).keys()].sort();
}

test("readBaseTree() forgets what a symlink, a whiteout or an opaque marker hides, named folders or not", async () => {
  const base = [folder("a"), folder("a/b"), folder("c/d/e"), symlink("f/g", "x"), folder("h"), folder("h/i")];
  const above = [symlink("a", "c"), member(".wh.c"), member("f/.wh.g"), member("h/.wh..wh..opq"), folder("h/j")];
  assert.deepEqual(await treeOf(base, above), ["a", "h", "h/j"]);
  assert.deepEqual(await treeOf(base, above, [folder("a"), folder("a/k")]), ["a", "a/k", "h", "h/j"]);
});

test("readBaseTree() comes to its end with a layer of many links over one of many folders", async () => {
  const many = Array.from({ length: 20_000 }, (_, i) => `d${i}`);
  const tree = await treeOf(
    many.flatMap((name) => [folder(name), folder(`${name}/x`)]),
    many.map((name) => symlink(name, "y")),
  );
  assert.equal(tree.length, many.length);
});
