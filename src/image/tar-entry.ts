/**
 * A path as bytes, one character a byte (latin1): names that are no UTF-8 survive, and comparing code units is
 * comparing bytes. No "/" at either end, no "." or ".." parts.
 */
export type BytePath = string;

export type TarKind = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** One member of a layer. Times are whole seconds since the epoch. */
export interface TarEntry {
  readonly path: BytePath;
  readonly kind: TarKind;
  /** Permission bits, at most 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  /** Bytes of content; 0 for all but files. */
  readonly size: number;
  /** What a symlink says or a hard link is another name of, as bytes; "" for others. */
  readonly target: string;
  /** Extended attributes, values as bytes, one character a byte; only those that {@link isLayerAttribute} lets pass. */
  readonly attributes?: { readonly [name: string]: string };
}

/** Whether an extended attribute belongs into a layer: others are of the machine, its file system or its security modules. */
export function isLayerAttribute(name: string): boolean {
  return name === "security.capability" || name.startsWith("user.");
}

/** UTF-8 text as the bytes of a path. */
export function toBytePath(text: string): BytePath {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** The bytes of a path as text to print; what is no UTF-8 shows as U+FFFD. */
export function fromBytePath(path: BytePath): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

/** The folder a path is in; "" at the top. */
export function parentOf(path: BytePath): BytePath {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/**
 * The order of members in a layer: by bytes, parents first, whiteouts before their siblings.
 *
 * @see OCI image specification, layer.md, "Whiteouts"
 */
export function compareEntries(a: { readonly path: BytePath }, b: { readonly path: BytePath }): number {
  const left = orderKey(a.path);
  const right = orderKey(b.path);
  return left < right ? -1 : left > right ? 1 : 0;
}

function orderKey(path: BytePath): string {
  return path.includes(".wh.") ? path.replace(/(^|\/)\.wh\./g, "$1\0.wh.") : path;
}
