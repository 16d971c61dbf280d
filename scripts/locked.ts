/**
 * Holds what npm installed against package-lock.json: every package must be there under the same version and hash, and every
 * one that is made for this kind of machine must be there: npm leaves such a one out, without a word, where it asks for a
 * newer Node than npm itself runs on.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Package {
  readonly version?: string;
  readonly integrity?: string;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

interface Lock {
  readonly packages: { readonly [path: string]: Package };
}

const root = dirname(import.meta.dirname);
const readLock = (name: string): Lock => JSON.parse(readFileSync(join(root, name), "utf8")) as Lock;
const locked = readLock("package-lock.json").packages;
const installed = readLock("node_modules/.package-lock.json").packages;
const lines: string[] = [];
for (const [path, { version, integrity }] of Object.entries(installed))
  if (locked[path]?.version !== version || locked[path]?.integrity !== integrity)
    lines.push(`${path}: installed ${version}, locked ${locked[path]?.version ?? "nothing"}`);
for (const [path, { version, os, cpu, libc = ["glibc"] }] of Object.entries(locked)) {
  const isForHere = os?.includes(process.platform) === true && cpu?.includes(process.arch) === true;
  if (isForHere && libc.includes("glibc") && installed[path] === undefined)
    lines.push(`${path}: left out, locked ${version}`);
}
for (const line of lines) console.log(line);
process.exitCode = lines.length === 0 && Object.keys(installed).length > 0 ? 0 : 1;
