/** `layer-process.ts FOLDER`: makes a layer of a folder as COPY does in a build that never saw it, its bytes hashed and thrown away; prints the ms it took. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { createBuildCache } from "../../src/build/cache.ts";
import { copyFiles } from "../../src/build/dockerfile/copy.ts";
import { beginReading } from "../../src/build/layer/contents.ts";
import { openContext } from "../../src/build/layer/context.ts";
import { createPlacement } from "../../src/build/layer/placement.ts";
import { tarPieces } from "../../src/image/tar-write.ts";

const [folder = ""] = process.argv.slice(2);
const startedAt = performance.now();
const { signal } = new AbortController();
const { tree } = await openContext(folder, createBuildCache(join(folder, "no cache here")), signal);
const base = new Map();
const placement = createPlacement(base, 0);
await copyFiles(
  { tree, checkout: true, pattern: ".", parents: false, exclude: null },
  { placement, base, path: "/app/", owner: null, mode: null, epoch: 0, signal },
);
const sources = placement.members();
const endReading = beginReading(sources);
const hash = createHash("sha256");
for (const piece of tarPieces(sources, signal)) hash.update(piece);
endReading();
if (hash.digest("hex").length !== 64) throw new Error("no digest");
console.log(performance.now() - startedAt);
