import type { BytePath } from "../../image/tar-entry.ts";
import { fromBytePath, parentOf } from "../../image/tar-entry.ts";
import { writeTar, type TarSource } from "../../image/tar-write.ts";
import { digestHex, sha256 } from "../../model/canonical.ts";
import type { Blobs } from "../../ports/store.ts";
import type { ImageState } from "../image-state.ts";
import { runCommand } from "../command.ts";
import { isProjectFile, readPieces } from "../layer/contents.ts";
import type { FoundFile } from "../layer/walk.ts";
import { lockFileName } from "../lock-file.ts";
import type { Source } from "../source.ts";
import { contentOf, type ContextList } from "./context-list.ts";
import { materialTypes, type Material } from "./materials.ts";
import type { BuildFacts } from "./recorder.ts";
import { mediaTypes } from "../../image/media-types.ts";

interface Project {
  readonly projectDir: string;
  readonly signal: AbortSignal;
}

/**
 * Whether the files that a build used have to be kept: they are not those of a commit, or not known to be. What git ignores is in
 * none, nor are folders with nothing in them.
 */
export async function isContextKept(
  { files }: BuildFacts,
  { commit, dirty, ignored }: Source,
  project: Project,
): Promise<boolean> {
  if (commit === null || dirty || ignored === null) return true;
  return (
    hasIgnored(files, ignored) ||
    (await hasUncommittedFolder(files, project)) ||
    (await hasUncommittedLock(files, project))
  );
}

/** What a build pins is no change of the source; where it goes into the image, the commit has to have it. */
async function hasUncommittedLock(files: readonly FoundFile[], project: Project): Promise<boolean> {
  if (!files.some(({ path }) => path === lockFileName)) return false;
  return (await git(project, "status", "--porcelain", "--", `:(literal)${lockFileName}`)) !== "";
}

async function git({ projectDir, signal }: Project, ...args: readonly string[]): Promise<string> {
  const options = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", projectDir];
  return (await runCommand("git", [...options, ...args], { signal, timeoutMs: 60_000 })).stdout;
}

function hasIgnored(files: readonly FoundFile[], ignored: readonly string[]): boolean {
  if (ignored.length === 0) return false;
  const single = new Set(ignored);
  const folders = ignored.filter((path) => path.endsWith("/"));
  const isIgnored = (path: BytePath): boolean => {
    const text = fromBytePath(path);
    return text !== lockFileName && (single.has(text) || folders.some((folder) => text.startsWith(folder)));
  };
  return files.some(({ path, kind }) => kind !== "directory" && isIgnored(path));
}

const mostFolders = 200;

/** Whether a folder was used that no commit has: nothing of it went into the build, and git knows nothing in it. */
async function hasUncommittedFolder(files: readonly FoundFile[], project: Project): Promise<boolean> {
  const filled = new Set<BytePath>();
  for (const { path, kind } of files) {
    if (kind === "directory") continue;
    for (let at = parentOf(path); at !== "" && !filled.has(at); at = parentOf(at)) filled.add(at);
  }
  const empty = files.flatMap(({ path, kind }) =>
    kind === "directory" && path !== "" && !filled.has(path) ? [fromBytePath(path)] : [],
  );
  if (empty.length === 0) return false;
  if (empty.length > mostFolders || empty.some((path) => path.includes("\ufffd"))) return true;
  const named = empty.map((path) => `:(literal)${path}`);
  const known = (await git(project, "ls-files", "-z", "--", ...named)).split("\0");
  return empty.some((folder) => !known.some((path) => path.startsWith(`${folder}/`)));
}

export interface KeptContext {
  readonly facts: BuildFacts;
  readonly image: ImageState;
  readonly blobs: Blobs;
}

/**
 * Keeps the files that a build used: their list, the layers that were made of them as far as the image has not got them, and
 * one archive, by sha256, of contents that no layer holds.
 */
export async function keepContext(
  list: ContextList,
  { facts, image, blobs }: KeptContext,
): Promise<readonly Material[]> {
  const inImage = new Set(image.diffIds);
  /** sha256 sums, one character a byte, as files have them. */
  const held = new Set<string>();
  const materials = [await keepList(list, blobs)];
  for (const [digest, members] of facts.layers) {
    for (const { bytes } of members) {
      const content = bytes !== undefined && isProjectFile(bytes) ? bytes.known() : undefined;
      if (content !== undefined) held.add(content);
    }
    const size = inImage.has(digest) ? undefined : await blobs.stat(digest);
    if (size !== undefined)
      materials.push({ title: "layer of the context", descriptor: { mediaType: mediaTypes.layer, digest, size } });
  }
  const sources = new Map<string, TarSource>();
  for (const { bytes } of facts.read) {
    const name = digestHex(sha256(bytes));
    if (!held.has(asBytes(name)))
      sources.set(
        name,
        contentSource(name, bytes.byteLength, () => [bytes]),
      );
  }
  for (const file of facts.files) {
    if (file.kind !== "file" || (file.content !== undefined && held.has(file.content))) continue;
    const name = contentOf(file);
    if (!held.has(asBytes(name)))
      sources.set(
        name,
        contentSource(name, file.size, () => copies(readPieces(file))),
      );
  }
  if (sources.size === 0) return materials;
  const inOrder = [...sources].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, source]) => source);
  const { digest, size } = await blobs.write(joined(writeTar(inOrder)));
  const descriptor = { mediaType: materialTypes.contextContents, digest, size };
  return [...materials, { title: "contents of the context", descriptor }];
}

async function keepList({ digest, size, pieces }: ContextList, blobs: Blobs): Promise<Material> {
  if ((await blobs.stat(digest)) !== size) await blobs.write(joined(pieces()), { digest });
  return { title: "list of the context", descriptor: { mediaType: materialTypes.contextList, digest, size } };
}

/** One piece as bytes: those are written at once, without waking threads for it. */
function joined(pieces: Iterable<Buffer>): Buffer | Iterable<Buffer> {
  const rest = pieces[Symbol.iterator]();
  const first = rest.next();
  if (first.done === true) return Buffer.alloc(0);
  const second = rest.next();
  if (second.done === true) return first.value;
  return (function* () {
    yield first.value;
    yield second.value;
    for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value;
  })();
}

function contentSource(path: string, size: number, content: () => Iterable<Uint8Array>): TarSource {
  return { entry: { path, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size, target: "" }, content };
}

/** @returns one character a byte */
function asBytes(hex: string): string {
  return Buffer.from(hex, "hex").toString("latin1");
}

/** Pieces that are valid for as long as somebody has them. */
function* copies(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}
