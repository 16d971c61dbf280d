/** Holds what npm installed against package-lock.json: every package must be there under the same version and hash. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Lock {
  readonly packages: { readonly [path: string]: { readonly version?: string; readonly integrity?: string } };
}

const root = dirname(import.meta.dirname);
const readLock = (name: string): Lock => JSON.parse(readFileSync(join(root, name), "utf8")) as Lock;
const locked = readLock("package-lock.json").packages;
const installed = Object.entries(readLock("node_modules/.package-lock.json").packages);
const differing = installed.filter(
  ([path, { version, integrity }]) => locked[path]?.version !== version || locked[path]?.integrity !== integrity,
);
for (const [path, { version }] of differing)
  console.log(`${path}: installed ${version}, locked ${locked[path]?.version ?? "nothing"}`);
process.exitCode = differing.length === 0 && installed.length > 0 ? 0 : 1;
