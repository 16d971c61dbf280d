import assert from "node:assert/strict";
import test from "node:test";
import { fateOf, type Fate } from "./leaks.ts";

const table: readonly (readonly [path: string, fate: Fate, why: string])[] = [
  [
    "var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease",
    "aside",
    "apt-get install of the next step reads it",
  ],
  ["var/lib/apt/lists/partial", "aside", "it belongs to the lists"],
  ["var/lib/apt/lists", "kept", "the folder is the image's"],
  ["var/lib/apt/extended_states", "kept", "which packages were asked for is no matter of time"],
  ["var/cache/apt/archives/tree_2.1.0-1_amd64.deb", "aside", "a later step may install what this one fetched"],
  ["var/cache/apt/archives/lock", "dropped", "made again"],
  ["var/cache/apt/pkgcache.bin", "dropped", "made again"],
  ["var/cache/app/pkgcache.bin", "kept", "an app's own cache is its own matter"],
  ["var/log/dpkg.log", "dropped", "times"],
  ["var/log/app.log", "kept", "not known to be useless"],
  ["usr/lib/python3/dist-packages/__pycache__/abc.cpython-311.pyc", "dropped", "times of sources"],
  ["app/module.pyc", "kept", "without its source beside it, it is the program"],
  ["root/.npm/_cacache/index-v5/00/11", "dropped", "servers' answers with their dates"],
  ["home/node/.npm/_logs", "dropped", "times"],
  ["app/.npm/_cacache/index-v5", "kept", "a cache outside a home folder was put there on purpose"],
  ["etc/machine-id", "emptied", "must be there, and names one machine"],
  ["etc/ld.so.cache", "kept", "made of the libraries alone"],
  ["tmp/anything", "kept", "as elsewhere"],
];

test("`fateOf()` tells what of a step's files is in its layer", () => {
  for (const [path, fate, why] of table) assert.equal(fateOf(path), fate, `${path}: ${why}`);
});
