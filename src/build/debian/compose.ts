import { compareEntries, parentOf, type BytePath } from "../../image/tar-entry.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { alternativeLinks, readAlternatives } from "./alternatives.ts";
import { furnish } from "./furnish.ts";
import { folderEntry, mergePackages, mergeUsr, type PlacedMember } from "./merge.ts";
import { parseStanzas, type Stanza } from "./stanza.ts";
import { readMember, type PackageMember, type UnpackedPackage } from "./unpack.ts";

export type Placed = PlacedMember<PackageMember>;

/**
 * Makes one root of packages. Files keep the time their package gives them, up to `epoch`; folders and what is made here
 * get that of the newest file, so that nothing of the day of building shows.
 *
 * @throws {OperatorError} `BUILD_FAILED` where packages have the same file
 */
export function composeRoot(suite: string, packages: readonly UnpackedPackage[], epoch: number): readonly TarSource[] {
  const inputs = packages.map((item) => ({
    name: item.pin.name,
    fields: fieldsOf(item),
    members: item.members,
  }));
  const placed = mergePackages(inputs);
  const newest = [...placed.values()].reduce(
    (latest, { entry }) => (entry.kind === "directory" ? latest : Math.max(latest, entry.mtime)),
    0,
  );
  const made = Math.min(newest, epoch);
  const furnished = furnish({
    suite,
    has: (path) => placed.has(path),
    under: (folder) => [...placed.keys()].filter((path) => path.startsWith(`${folder}/`)),
    read: (path) => textOf(placed.get(path)),
    packages: packages.map(({ pin, control }) => ({
      name: pin.name,
      control: control.get("control") ?? "",
      md5sums: control.get("md5sums"),
    })),
  });
  const links = alternativeLinks(
    packages.flatMap(({ control }) => readAlternatives(control.get("postinst") ?? "").alternatives),
    (path) => placed.has(placeOf(path)),
  );
  const symlinks = links.map(({ path, target }) => ({ kind: "symlink", path: placeOf(path), target }) as const);
  const more = [...furnished, ...symlinks].map((file): TarSource => {
    const common = { path: file.path, uid: 0, gid: 0, mtime: made, size: 0, target: "" };
    if (file.kind === "symlink") return { entry: { ...common, kind: "symlink", mode: 0o777, target: file.target } };
    const owner = file.kind === "directory" ? (file.uid ?? 0) : 0;
    if (file.kind === "directory")
      return { entry: { ...common, kind: "directory", mode: file.mode, uid: owner, gid: owner } };
    const bytes = Buffer.from(file.text, "latin1");
    return {
      entry: { ...common, kind: "file", mode: 0o644, size: bytes.byteLength },
      content: () => [bytes],
    };
  });
  return memberSources(placed, { epoch, folderTime: made, more });
}

/** Where an absolute path of a script is in the root. */
function placeOf(path: string): BytePath {
  return mergeUsr(path.slice(1));
}

export interface MemberSourcesOptions {
  /** Files keep their time up to this one. */
  readonly epoch: number;
  readonly folderTime: number;
  /** What replaces members at the same paths, but leaves folders as they are; folders on the way are added. */
  readonly more: readonly TarSource[];
}

/** The members of a layer, in order. */
export function memberSources(
  placed: ReadonlyMap<BytePath, Placed>,
  { epoch, folderTime, more }: MemberSourcesOptions,
): readonly TarSource[] {
  const sources = new Map<BytePath, TarSource>();
  for (const source of packageSources(placed, epoch, folderTime)) sources.set(source.entry.path, source);
  for (const source of more) {
    const { path, kind } = source.entry;
    if (kind === "directory" && sources.get(path)?.entry.kind === "directory") continue;
    for (let parent = parentOf(path); parent !== "" && !sources.has(parent); parent = parentOf(parent))
      sources.set(parent, { entry: { ...folderEntry(parent), mtime: folderTime } });
    sources.set(path, source);
  }
  return [...sources.values()].sort((a, b) => compareEntries(a.entry, b.entry));
}

function fieldsOf(item: UnpackedPackage): Stanza {
  return parseStanzas(item.control.get("control") ?? "")[0] ?? new Map();
}

function textOf(placed: Placed | undefined): string {
  if (placed?.member === undefined) return "";
  return [...readMember(placed.member)].map((piece) => Buffer.from(piece).toString("latin1")).join("");
}

/** The members of packages; of several names of one file the first in order is the file, the others are links to it. */
function packageSources(
  placed: ReadonlyMap<BytePath, Placed>,
  epoch: number,
  folderTime: number,
): readonly TarSource[] {
  const firsts = new Map<PackageMember, BytePath>();
  const inOrder = [...placed.values()].sort((a, b) => compareEntries(a.entry, b.entry));
  return inOrder.map(({ entry, member }): TarSource => {
    const mtime = entry.kind === "directory" ? folderTime : Math.min(entry.mtime, epoch);
    if (entry.kind !== "file" || member === undefined) return { entry: { ...entry, mtime } };
    const first = firsts.get(member);
    if (first !== undefined) return { entry: { ...entry, mtime, kind: "hardlink", size: 0, target: first } };
    firsts.set(member, entry.path);
    return { entry: { ...entry, mtime }, content: () => readMember(member) };
  });
}
