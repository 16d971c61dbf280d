/** `layer-process.ts FOLDER`: makes a layer of a folder as a build does that never saw it, its bytes hashed and thrown away; prints the ms it took. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { openMemo } from "../../src/build/cache/memo.ts";
import { composeLayer } from "../../src/build/layer/compose.ts";
import { beginReading, createContents } from "../../src/build/layer/contents.ts";
import { openTree } from "../../src/build/layer/walk.ts";
import { createTemporaries } from "../../src/store/temporary.ts";
import { tarPieces } from "../../src/image/tar-write.ts";

const [folder = ""] = process.argv.slice(2);
const startedAt = performance.now();
const contents = createContents(await openMemo(join(folder, "no memo here"), createTemporaries(join(folder, "none"))));
const files = [...openTree(folder).walk("")];
const part = {
  kind: "tree",
  files,
  contents,
  from: "",
  to: "app",
  owner: { uid: 0, gid: 0 },
  mode: undefined,
} as const;
const hash = createHash("sha256");
const { signal } = new AbortController();
const sources = composeLayer(new Map(), [part], 0);
const endReading = beginReading(sources);
for (const piece of tarPieces(sources, signal)) hash.update(piece);
endReading();
if (hash.digest("hex").length !== 64) throw new Error("no digest");
console.log(performance.now() - startedAt);
