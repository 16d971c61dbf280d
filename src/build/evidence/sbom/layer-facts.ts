import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parentOf, type BytePath } from "../../../image/tar-entry.ts";
import { joinPath, nameOf } from "../../layer/source-tree.ts";
import { readCopyright, readDpkgStatus, readFileList, readRelease, readSums } from "./debian.ts";
import type { FileFact, Found, LayerFacts } from "./found.ts";
import { readGoProgram } from "./go.ts";
import { readNpmLock, readNpmPackage, readPythonPackage, readRecord } from "./languages.ts";
import { markPaths, type MarkedPaths } from "./marks.ts";

/** A regular file of a layer. */
export interface LayerFile {
  readonly path: BytePath;
  readonly size: number;
  readonly mode: number;
  /** At most `length` bytes from `offset` on. */
  read(offset: number, length: number): Buffer;
  /** sha256 of the content in hex, where it is known without reading. */
  readonly content?: string | undefined;
}

/** What a layer has besides files. */
export interface LayerShape {
  readonly removed: readonly BytePath[];
  readonly emptied: readonly BytePath[];
  /** Regular files, in any order. */
  readonly files: readonly LayerFile[];
}

/** Beyond this nobody reads the list. */
const mostFiles = 20_000;
const mostFound = 50_000;
const mostOwned = 500_000;
const turnBytes = 8 << 20;
const pieceBytes = 1 << 20;
const leastProgram = 4096;

/** What a kind of file says, by its path, and how long it may be. */
interface Reader {
  readonly matches: RegExp;
  readonly mostBytes: number;
  /** Longer ones are read as far as that. */
  readonly cut?: true;
  readonly read: (text: string) => Found | undefined;
}

const installed = (item: ReturnType<typeof readNpmPackage>): Found | undefined =>
  item === undefined ? undefined : { kind: "installed", packages: [item] };

const readers: readonly Reader[] = [
  {
    matches: /^var\/lib\/dpkg\/(?:status|status\.d\/[a-z0-9+.-]+)$/,
    mostBytes: 32 << 20,
    read: (text) => ({ kind: "dpkg", packages: readDpkgStatus(text) }),
  },
  {
    matches: /^usr\/share\/doc\/[^/]+\/copyright$/,
    mostBytes: 4 << 20,
    read: (text) => ({ kind: "copyright", licences: readCopyright(text) }),
  },
  {
    matches: /^(?:etc|usr\/lib)\/os-release$/,
    mostBytes: 64 << 10,
    read(text) {
      const release = readRelease(text);
      return release === undefined ? undefined : { kind: "release", ...release };
    },
  },
  {
    matches: /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/,
    mostBytes: 1 << 20,
    read: (text) => installed(readNpmPackage(text)),
  },
  {
    matches: /(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|node_modules\/\.package-lock\.json)$/,
    mostBytes: 32 << 20,
    read: (text) => ({ kind: "locked", packages: readNpmLock(text) }),
  },
  {
    matches: /(?:^|\/)[^/]+\.(?:dist-info\/METADATA|egg-info\/PKG-INFO)$/,
    mostBytes: 64 << 10,
    cut: true,
    read: (text) => installed(readPythonPackage(text)),
  },
];

/** Files that name others which belong to a package. */
const lists: readonly {
  readonly matches: RegExp;
  readonly read: (text: string, path: BytePath) => readonly string[];
}[] = [
  { matches: /^var\/lib\/dpkg\/info\/[^/]+\.list$/, read: readFileList },
  { matches: /^var\/lib\/dpkg\/status\.d\/[^/]+\.md5sums$/, read: readSums },
  {
    matches: /\.dist-info\/RECORD$/,
    read: (text, path) => readRecord(text).map((below) => joinPath(parentOf(parentOf(path)), below)),
  },
];
const mostListBytes = 16 << 20;

/**
 * Looks through a layer for what a bill of materials tells. Anything may be in it: what is too large or no such thing is named
 * and passed over. Symlinks are not followed.
 */
export async function factsOfLayer({ removed, emptied, files }: LayerShape, signal: AbortSignal): Promise<LayerFacts> {
  const found: (readonly [BytePath, Found])[] = [];
  const owned: (readonly [BytePath, MarkedPaths])[] = [];
  const owners = new Set<BytePath>();
  const folders = new Set<BytePath>();
  const unread: BytePath[] = [];
  const rest: LayerFile[] = [];
  let ownedLeft = mostOwned;
  for (const file of files) {
    const isTelling = maySay(file.path);
    const list = isTelling ? lists.find(({ matches }) => matches.test(file.path)) : undefined;
    if (list !== undefined && file.size <= mostListBytes) {
      const paths = list.read(latin1(file, file.size), file.path).slice(0, ownedLeft);
      ownedLeft -= paths.length;
      const real = paths.map(mergedUsr);
      for (const path of real) owners.add(path);
      owned.push([file.path, markPaths(real)]);
      owners.add(file.path);
      continue;
    }
    const reader = isTelling ? readers.find(({ matches }) => matches.test(file.path)) : undefined;
    const said = reader === undefined ? programOf(file) : sayingOf(file, reader);
    if (said === undefined && reader !== undefined) unread.push(file.path);
    if (said !== undefined && found.length < mostFound) {
      found.push([file.path, said]);
      if (said.kind === "installed" && reader !== undefined) folders.add(parentOf(file.path));
      if (said.kind !== "locked") owners.add(file.path);
    }
    rest.push(file);
  }
  const isOwned = (path: BytePath): boolean => owners.size > 0 && (owners.has(mergedUsr(path)) || owners.has(path));
  const nobodys = rest.filter(({ path }) => !isOwned(path) && !isBelow(path, folders) && !isDpkgs(path));
  const listed = nobodys.slice(0, mostFiles);
  return {
    removed,
    emptied,
    found,
    owned,
    files: await digests(listed, signal),
    unlisted: nobodys.length - listed.length,
    unread: unread.slice(0, 100),
  };
}

/** Names of files that readers and lists are for, besides those of dpkg. */
const names: ReadonlySet<string> = new Set([
  ".package-lock.json",
  "METADATA",
  "PKG-INFO",
  "RECORD",
  "copyright",
  "npm-shrinkwrap.json",
  "os-release",
  "package-lock.json",
  "package.json",
]);

const lastCharacters: ReadonlySet<number> = new Set([...names].map((name) => name.charCodeAt(name.length - 1)));

/** Tells most files at a glance from those that one may be for. */
function maySay(path: BytePath): boolean {
  return (lastCharacters.has(path.charCodeAt(path.length - 1)) && names.has(nameOf(path))) || isDpkgs(path);
}

/** How many files of a layer have to be opened for what they say. */
export function countReads({ files }: LayerShape): number {
  let count = 0;
  for (const file of files) if (isProgram(file) || maySay(file.path)) count += 1;
  return count;
}

function isProgram({ mode, size }: LayerFile): boolean {
  return (mode & 0o111) !== 0 && size >= leastProgram;
}

function sayingOf(file: LayerFile, { mostBytes, cut, read }: Reader): Found | undefined {
  if (file.size > mostBytes && cut !== true) return undefined;
  return read(file.read(0, Math.min(file.size, mostBytes)).toString("utf8"));
}

function programOf(file: LayerFile): Found | undefined {
  if (!isProgram(file)) return undefined;
  const packages = readGoProgram(file);
  return packages === undefined ? undefined : { kind: "installed", packages };
}

function latin1(file: LayerFile, length: number): string {
  return file.read(0, length).toString("latin1");
}

/** dpkg's database is nobody's: it says who owns the others. */
function isDpkgs(path: BytePath): boolean {
  return path.startsWith("var/lib/dpkg/");
}

/** Whether a path lies in one of the folders of packages. */
export function isBelow(path: BytePath, folders: ReadonlySet<BytePath>): boolean {
  if (folders.size === 0) return false;
  for (let at = parentOf(path); at !== ""; at = parentOf(at)) if (folders.has(at)) return true;
  return false;
}

/** Packages name files by where they were before /usr was merged. @see Debian's UsrMerge */
export function mergedUsr(path: BytePath): BytePath {
  return /^(?:bin|sbin|lib|lib32|lib64|libx32)\//.test(path) ? `usr/${path}` : path;
}

async function digests(files: readonly LayerFile[], signal: AbortSignal): Promise<readonly FileFact[]> {
  const facts: FileFact[] = [];
  let left = turnBytes;
  for (const file of files) {
    if (file.content !== undefined) {
      facts.push([file.path, file.content, file.size]);
      continue;
    }
    const sum = createHash("sha256");
    for (let at = 0; at < file.size; at += pieceBytes) {
      sum.update(file.read(at, Math.min(pieceBytes, file.size - at)));
      if ((left -= pieceBytes) > 0) continue;
      await nextTurn();
      signal.throwIfAborted();
      left = turnBytes;
    }
    facts.push([file.path, sum.digest("hex"), file.size]);
  }
  return facts;
}
