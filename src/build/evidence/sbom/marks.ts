import { hash } from "node:crypto";
import type { BytePath } from "../../../image/tar-entry.ts";

/** Bytes that stand for a path: half of its sha256, so that nobody finds two paths with the same. */
const markBytes = 16;

/** A set of paths that is small and quick to load, and that can be asked but not listed. */
export class PathMarks {
  readonly #marks = new Set<string>();

  /** @param list of `encodeMarks` */
  addAll(list: string): void {
    const text = Buffer.from(list, "base64").toString("latin1");
    for (let at = 0; at < text.length; at += markBytes) this.#marks.add(text.slice(at, at + markBytes));
  }

  has(path: BytePath): boolean {
    return this.#marks.size > 0 && this.#marks.has(markOf(path));
  }
}

/** Paths as `PathMarks` takes them. */
export function encodeMarks(paths: Iterable<BytePath>): string {
  const marks = [...new Set([...paths].map(markOf))].sort();
  return Buffer.from(marks.join(""), "latin1").toString("base64");
}

function markOf(path: BytePath): string {
  return hash("sha256", Buffer.from(path, "latin1"), "latin1").slice(0, markBytes);
}
