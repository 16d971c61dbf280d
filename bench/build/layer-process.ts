/** `layer-process.ts FOLDER`: makes a layer of a folder as a build does, its bytes hashed and thrown away; prints the ms it took. */
import { createHash } from "node:crypto";
import { composeLayer } from "../../src/build/layer/compose.ts";
import { walkTree } from "../../src/build/layer/walk.ts";
import { writeTar } from "../../src/image/tar-write.ts";

const [folder = ""] = process.argv.slice(2);
const startedAt = performance.now();
const files = walkTree(folder, "", () => false);
const part = { kind: "tree", files, from: "", to: "app", owner: { uid: 0, gid: 0 }, mode: undefined } as const;
const hash = createHash("sha256");
for (const piece of writeTar(composeLayer(new Map(), [part], 0))) hash.update(piece);
if (hash.digest("hex").length !== 64) throw new Error("no digest");
console.log(performance.now() - startedAt);
