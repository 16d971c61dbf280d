import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, parentOf, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import type { Stanza } from "./stanza.ts";

/**
 * A file of a package as the root gets it; folders that several packages have belong to the first. The names of one file,
 * which are links in an archive, have the same member here, and are all files.
 */
export interface PlacedMember<Member> {
  readonly entry: TarEntry;
  readonly owner: string;
  /** Absent for folders that no package has but a file is in. */
  readonly member?: Member;
}

interface Archived {
  readonly entry: TarEntry;
}

/** What merging needs to know of a package. */
export interface MergeInput<Member extends Archived> {
  readonly name: string;
  readonly fields: Stanza;
  readonly members: readonly Member[];
}

const mergedFolders = /^(bin|sbin|lib|lib32|lib64|libx32)(?=\/|$)/;

/** Documentation in many languages and forms, which no program reads. Licences stay. */
const unwanted = /^usr\/share\/(man|info|locale|lintian|bug|doc-base)(\/|$)/;
const documentation = /^usr\/share\/doc\/./;
const licence = /^usr\/share\/doc\/[^/]+\/copyright$/;
const byteCode = /(^|\/)__pycache__(\/|$)/;

const devices: ReadonlySet<string> = new Set(["character", "block", "fifo"]);

/**
 * Puts the files of packages together as dpkg would: paths of the merged /usr, folders shared, a file over another's only
 * where the package says that it replaces it.
 *
 * @param packages in the order of their names; the result does not depend on anything else
 * @throws {OperatorError} `BUILD_FAILED` naming both packages where they have the same file, or one a file where the other
 * has a folder
 */
export function mergePackages<Member extends Archived>(
  packages: readonly MergeInput<Member>[],
): ReadonlyMap<BytePath, PlacedMember<Member>> {
  const placed = new Map<BytePath, PlacedMember<Member>>();
  const byName = new Map(packages.map((item) => [item.name, item]));
  for (const { name, fields, members } of packages) {
    for (const { entry: own, member } of withoutLinks(members)) {
      const entry = relocate(own);
      if (entry === undefined) continue;
      if (devices.has(entry.kind))
        throw new OperatorError(
          "BUILD_FAILED",
          `Cannot take "/${fromBytePath(entry.path)}" of ${name}: it is a device or a pipe`,
          {
            hint: "leave the package out: Debian's own have none",
          },
        );
      const before = placed.get(entry.path);
      if (before !== undefined && before.entry.kind === "directory" && entry.kind === "directory") {
        if (before.member === undefined) placed.set(entry.path, { entry, owner: name, member });
        continue;
      }
      if (before !== undefined && before.owner !== name) {
        const other = byName.get(before.owner);
        const theirs = other !== undefined && replaces(other.fields, name, fields.get("version") ?? "");
        const ours = other !== undefined && replaces(fields, before.owner, other.fields.get("version") ?? "");
        const sameKind = (before.entry.kind === "directory") === (entry.kind === "directory");
        if (!sameKind || theirs === ours) throw collision(entry.path, before.owner, name);
        if (theirs) continue;
      }
      addParents(placed, entry.path, name);
      placed.set(entry.path, { entry, owner: name, member });
    }
  }
  return placed;
}

/** A member's place under the merged /usr, or undefined where it has none. */
function relocate(entry: TarEntry): TarEntry | undefined {
  const path = mergeUsr(entry.path);
  if (path === "" || unwanted.test(path) || byteCode.test(path)) return undefined;
  // Newer base-files bring the symlinks of the merged /usr themselves; they are made in any case.
  if (entry.kind === "symlink" && mergedFolders.test(entry.path) && !entry.path.includes("/")) return undefined;
  if (documentation.test(path) && !licence.test(path)) {
    const ownsFolder = entry.kind === "symlink" && path.split("/").length === 4;
    if (!ownsFolder) return undefined;
  }
  return { ...entry, path };
}

/** The members of an archive, other names of a file told as that file. @throws {OperatorError} `VERIFICATION_FAILED` for a link to nothing */
export function* withoutLinks<Member extends Archived>(
  members: readonly Member[],
): Generator<{ readonly entry: TarEntry; readonly member: Member }> {
  const files = new Map<BytePath, Member>();
  for (const member of members) {
    const { entry } = member;
    const file = entry.kind === "hardlink" ? files.get(entry.target) : member;
    if (file === undefined)
      throw new OperatorError(
        "VERIFICATION_FAILED",
        `Cannot take "/${fromBytePath(entry.path)}": it is another name of "/${fromBytePath(entry.target)}", which is not before it`,
        { hint: "the package is broken in the archive itself: take another version of it, or leave it out" },
      );
    files.set(entry.path, file);
    yield { entry: file === member ? entry : { ...file.entry, path: entry.path }, member: file };
  }
}

/** Where a path is under the merged /usr. */
export function mergeUsr(path: BytePath): BytePath {
  return path.replace(mergedFolders, "usr/$1");
}

function addParents<Member extends Archived>(
  placed: Map<BytePath, PlacedMember<Member>>,
  path: BytePath,
  owner: string,
): void {
  const parent = parentOf(path);
  if (parent === "") return;
  const there = placed.get(parent);
  if (there?.entry.kind === "directory") return;
  if (there !== undefined) throw collision(parent, there.owner, owner);
  addParents(placed, parent, owner);
  placed.set(parent, { entry: folderEntry(parent), owner });
}

export function folderEntry(path: BytePath, mode = 0o755): TarEntry {
  return { path, kind: "directory", mode, uid: 0, gid: 0, mtime: 0, size: 0, target: "" };
}

/** Whether a package may overwrite files of another. Versions are not compared: an archive's suite is consistent. */
function replaces(fields: Stanza, name: string, version: string): boolean {
  return (fields.get("replaces") ?? "").split(",").some((relation) => {
    const [, replaced, operator, limit] =
      /^\s*([a-z0-9][a-z0-9+.-]*)(?::\S+)?(?:\s*\(\s*([<>=]+)\s*([^)\s]+)\s*\))?/.exec(relation) ?? [];
    if (replaced !== name) return false;
    return operator !== "=" || limit === version;
  });
}

function collision(path: BytePath, first: string, second: string): OperatorError {
  return new OperatorError(
    "BUILD_FAILED",
    `Cannot put ${first} and ${second} into one root: both have "/${fromBytePath(path)}"`,
    {
      hint: "leave one of them out; with `full: true` their maintainer scripts run, which may move the file out of the way",
    },
  );
}
