import { hash } from "node:crypto";
import type { BytePath } from "../../../image/tar-entry.ts";

/** Bytes that stand for a path: half of its sha256, so that nobody finds two paths with the same. */
const markBytes = 16;

/** Paths as {@link PathMarks} takes them: small, quick to load, and only good to be asked. */
export interface MarkedPaths {
  /** Marks in their order, in base64. */
  readonly marks: string;
  /** The first two parts of each path: whatever lies elsewhere need not be looked for. */
  readonly roots: readonly string[];
}

export function markPaths(paths: Iterable<BytePath>): MarkedPaths {
  const marks = new Set<string>();
  const roots = new Set<string>();
  for (const path of paths) {
    marks.add(markOf(path));
    roots.add(rootOf(path));
  }
  return { marks: Buffer.from([...marks].sort().join(""), "latin1").toString("base64"), roots: [...roots].sort() };
}

/** The paths of all of them. */
export function joinMarks(lists: readonly MarkedPaths[]): MarkedPaths {
  const all = new Set<string>();
  for (const { marks } of lists) {
    const text = Buffer.from(marks, "base64").toString("latin1");
    for (let at = 0; at < text.length; at += markBytes) all.add(text.slice(at, at + markBytes));
  }
  return {
    marks: Buffer.from([...all].sort().join(""), "latin1").toString("base64"),
    roots: [...new Set(lists.flatMap(({ roots }) => roots))].sort(),
  };
}

export class PathMarks {
  readonly #encoded: string;
  readonly #roots: ReadonlySet<string>;
  #decoded: Buffer | undefined;

  constructor({ marks, roots }: MarkedPaths) {
    this.#encoded = marks;
    this.#roots = new Set(roots);
  }

  /** Mostly nobody asks for a path that may be among them. */
  get #marks(): Buffer {
    return (this.#decoded ??= Buffer.from(this.#encoded, "base64"));
  }

  has(path: BytePath): boolean {
    if (!this.#roots.has(rootOf(path))) return false;
    const mark = Buffer.from(markOf(path), "latin1");
    const marks = this.#marks;
    let low = 0;
    let high = marks.byteLength / markBytes;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = middle * markBytes;
      const order = marks.compare(mark, 0, markBytes, at, at + markBytes);
      if (order === 0) return true;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }
}

function rootOf(path: BytePath): string {
  const first = path.indexOf("/");
  const second = first < 0 ? -1 : path.indexOf("/", first + 1);
  return second < 0 ? path : path.slice(0, second);
}

function markOf(path: BytePath): string {
  return hash("sha256", Buffer.from(path, "latin1"), "latin1").slice(0, markBytes);
}
