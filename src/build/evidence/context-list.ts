import { createHash } from "node:crypto";
import { digestHex, sha256, type Digest } from "../../model/canonical.ts";
import type { BytePath } from "../../image/tar-entry.ts";
import { checkoutMode } from "../layer/compose.ts";
import { readPieces } from "../layer/contents.ts";
import type { FoundFile } from "../layer/walk.ts";
import type { ReadFact } from "./recorder.ts";

/**
 * A file of the project that a build used. Paths are bytes, one character a byte. A file has the sha256 of its content, its
 * size and whether it is executable; one of several names of a file (`hardlink`) says the first of them.
 */
export type ContextRow =
  | readonly ["file", path: BytePath, content: string, size: number, executable: 0 | 1]
  | readonly ["hardlink" | "symlink", path: BytePath, target: string]
  | readonly ["directory", path: BytePath];

/** What of the project went into a build, sorted by path. */
export interface ContextList {
  readonly rows: readonly ContextRow[];
  readonly bytes: Buffer;
  readonly digest: Digest;
}

/** What a list of used files begins with: its form may change. */
const version = 1;

/** Lists what a build used of the project, the same for equal files wherever and whenever they were checked out. */
export function listContext(files: readonly FoundFile[], read: readonly ReadFact[]): ContextList {
  const rows = new Map<BytePath, ContextRow>();
  const inodes = new Map<string, BytePath>();
  const byPath = new Map(files.map((file) => [file.path, file]));
  for (const path of [...byPath.keys()].sort()) {
    const file = byPath.get(path);
    if (file === undefined || path === "") continue;
    if (file.kind === "directory") rows.set(path, ["directory", path]);
    else if (file.kind === "symlink") rows.set(path, ["symlink", path, file.target]);
    else if (file.kind === "file") {
      const first = file.inode === undefined ? undefined : inodes.get(file.inode);
      if (first !== undefined) {
        rows.set(path, ["hardlink", path, first]);
        continue;
      }
      if (file.inode !== undefined) inodes.set(file.inode, path);
      rows.set(path, ["file", path, contentOf(file), file.size, checkoutMode(file.mode) === 0o755 ? 1 : 0]);
    }
  }
  for (const { path: name, bytes } of read) {
    const path = Buffer.from(name).toString("latin1");
    if (!rows.has(path)) rows.set(path, ["file", path, digestHex(sha256(bytes)), bytes.byteLength, 0]);
  }
  const sorted = [...rows.values()].sort(([, a], [, b]) => (a < b ? -1 : 1));
  const bytes = Buffer.from(JSON.stringify({ version, files: sorted }));
  return { rows: sorted, bytes, digest: sha256(bytes) };
}

/** sha256 of a file's content in hex; it was read when it went into a layer. */
export function contentOf(file: FoundFile): string {
  if (file.content !== undefined) return Buffer.from(file.content, "latin1").toString("hex");
  const sum = createHash("sha256");
  for (const piece of readPieces(file)) sum.update(piece);
  return sum.digest("hex");
}

/** @returns in words for people what is wrong with a list that is none */
export function readContextList(bytes: Uint8Array): readonly ContextRow[] | string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return "it is no JSON";
  }
  const { version: written, files } = (value ?? {}) as { readonly version?: unknown; readonly files?: unknown };
  if (written !== version || !Array.isArray(files)) return "it is of another version";
  const rows = files as readonly unknown[];
  return rows.every(isRow) ? rows : "it names something that is no file";
}

function isRow(value: unknown): value is ContextRow {
  if (!Array.isArray(value)) return false;
  const [kind, path, third, size, executable] = value as readonly unknown[];
  if (typeof path !== "string" || !isSafePath(path)) return false;
  if (kind === "directory") return value.length === 2;
  if (typeof third !== "string") return false;
  if (kind === "symlink") return value.length === 3 && third !== "" && !third.includes("\0");
  if (kind === "hardlink") return value.length === 3 && isSafePath(third);
  return (
    kind === "file" &&
    /^[0-9a-f]{64}$/.test(third) &&
    Number.isSafeInteger(size) &&
    Number(size) >= 0 &&
    (executable === 0 || executable === 1)
  );
}

/** Below the folder that it is put in, whatever stands in it. */
function isSafePath(path: string): boolean {
  const parts = path.split("/");
  return (
    path.length < 4096 &&
    !/[\0\u0100-\uffff]/.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..")
  );
}
