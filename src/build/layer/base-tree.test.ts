import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaTypes } from "../../image/media-types.ts";
import type { TarSource } from "../../image/tar-write.ts";
import type { Descriptor } from "../../ports/store.ts";
import { createLocalStore } from "../../store/local.ts";
import { readBaseTree } from "./base-tree.ts";
import { createBuildCache, type BuildCache } from "../cache.ts";
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

test("readBaseTree() gives each step of a build its own layers, whatever was asked before", async () => {
  const store = createLocalStore(newFolder());
  const contents = [
    [folder("a"), folder("a/b"), symlink("c", "a"), folder("d/e")],
    [symlink("a", "d"), member(".wh.d")],
    [folder("a/b/f"), member("a/.wh..wh..opq")],
    [folder("d/e/g"), symlink("d/h", "e")],
  ];
  const layers: Descriptor[] = [];
  for (const sources of contents) layers.push({ mediaType: mediaTypes.layer, ...(await store.write(tar(sources))) });
  const chain = (numbers: string): readonly Descriptor[] =>
    numbers.split("").map((number) => layers[Number(number)] as Descriptor);
  const paths = async (numbers: string, cache: BuildCache): Promise<readonly string[]> =>
    [...(await readBaseTree(store, chain(numbers), cache)).keys()].sort();
  const cache = createBuildCache(newFolder());
  for (const numbers of ["0", "01", "012", "02", "023", "0", "03", "0312", "1", "03123"])
    assert.deepEqual(await paths(numbers, cache), await paths(numbers, createBuildCache(newFolder())), numbers);
  const both = await Promise.all([paths("02", cache), paths("031", cache), paths("02", cache)]);
  assert.deepEqual(both[0], both[2]);
  const first = await readBaseTree(store, chain("0"), cache);
  const before = [...first.keys()];
  await readBaseTree(store, chain("01"), cache);
  assert.deepEqual([...first.keys()], before);
});
