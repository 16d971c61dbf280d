import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A tree file by file: path (as bytes) → what there is to say about it. */
export type Tree = ReadonlyMap<string, string>;

/** What runtimes put into a root, and folders whose times change with it. */
const injected = new Set([
  ".dockerenv",
  "dev",
  "proc",
  "sys",
  "tmp",
  "run",
  "etc/hosts",
  "etc/hostname",
  "etc/resolv.conf",
  "etc/mtab",
]);
const timesOfOthers = new Set(["", "etc"]);

/** Lists a root folder: kind, mode, owner, size, sha256, link targets, hard links, times in seconds. */
export function listTree(root: string): Tree {
  const lines = new Map<string, string>();
  const first = new Map<string, string>();
  const visit = (path: string): void => {
    const at = Buffer.from(`${root}/${path}`, "latin1");
    const stats = lstatSync(at);
    const key = `${stats.dev}:${stats.ino}`;
    const kind = stats.isDirectory()
      ? "folder"
      : stats.isSymbolicLink()
        ? "symlink"
        : stats.isFile()
          ? "file"
          : "other";
    // Archives say nothing of the root itself: each reader has a mode of its own for it.
    const mode = kind === "symlink" || path === "" ? "" : (stats.mode & 0o7777).toString(8);
    const facts: (string | number)[] = [kind, mode, `${stats.uid}:${stats.gid}`];
    if (!timesOfOthers.has(path)) facts.push(Math.floor(stats.mtimeMs / 1000));
    if (kind === "file")
      facts.push(stats.size, createHash("sha256").update(readFileSync(at)).digest("hex").slice(0, 16));
    // By what can be seen: the count of links of a lower layer holds hidden ones too.
    const other = first.get(key);
    if (kind === "file" && other !== undefined) facts.push(`link of ${other}`);
    if (kind === "symlink") facts.push(readlinkSync(at, "latin1"));
    if (other === undefined) first.set(key, path);
    lines.set(path, facts.join(" "));
    if (kind !== "folder") return;
    for (const name of readdirSync(at, "latin1").sort()) {
      const inner = path === "" ? name : `${path}/${name}`;
      if (!injected.has(inner)) visit(inner);
    }
  };
  visit("");
  return lines;
}

/** What differs, a few lines of it; empty when nothing does. */
export function differences(ours: Tree, theirs: Tree): readonly string[] {
  const paths = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  const found = paths.filter((path) => ours.get(path) !== theirs.get(path));
  const lines = found
    .slice(0, 3)
    .map((path) => `${JSON.stringify(path)}: ${ours.get(path) ?? "absent"} | ${theirs.get(path) ?? "absent"}`);
  return found.length > 3 ? [...lines, `and ${found.length - 3} more`] : lines;
}
