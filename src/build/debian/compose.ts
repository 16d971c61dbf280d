import { OperatorError } from "../../errors/operator-error.ts";
import { compareEntries, fromBytePath, parentOf, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { furnish } from "./furnish.ts";
import { folderEntry, mergePackages, type PlacedMember } from "./merge.ts";
import { parseStanzas, type Stanza } from "./stanza.ts";
import { readMember, type PackageMember, type UnpackedPackage } from "./unpack.ts";

type Placed = PlacedMember<PackageMember>;

/** The members of a layer of packages, in order, and the newest time among them. */
export interface PackageTree {
  readonly sources: readonly TarSource[];
  /** Whole seconds since the epoch. */
  readonly newest: number;
}

/**
 * Makes one root of packages. Files keep the time their package gives them, up to `epoch`; folders and what is made here
 * get that of the newest file, so that nothing of the day of building shows.
 *
 * @throws {OperatorError} `BUILD_FAILED` where packages have the same file
 */
export function composeRoot(suite: string, packages: readonly UnpackedPackage[], epoch: number): PackageTree {
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
  const sources = new Map<BytePath, TarSource>();
  for (const source of packageSources(placed, epoch, made)) sources.set(source.entry.path, source);
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
  for (const file of furnished) {
    if (file.kind === "directory" && sources.get(file.path)?.entry.kind === "directory") continue;
    for (let parent = parentOf(file.path); parent !== "" && !sources.has(parent); parent = parentOf(parent))
      sources.set(parent, { entry: { ...folderEntry(parent), mtime: made } });
    const common = { path: file.path, uid: 0, gid: 0, mtime: made, size: 0, target: "" };
    if (file.kind === "directory") {
      const owner = file.uid ?? 0;
      sources.set(file.path, { entry: { ...common, kind: "directory", mode: file.mode, uid: owner, gid: owner } });
    } else if (file.kind === "symlink") {
      sources.set(file.path, { entry: { ...common, kind: "symlink", mode: 0o777, target: file.target } });
    } else {
      const bytes = Buffer.from(file.text, "latin1");
      const entry: TarEntry = { ...common, kind: "file", mode: 0o644, size: bytes.byteLength };
      sources.set(file.path, { entry, content: () => [bytes] });
    }
  }
  return { sources: [...sources.values()].sort((a, b) => compareEntries(a.entry, b.entry)), newest };
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
  const groups = new Map<BytePath, BytePath[]>();
  for (const { entry, owner } of placed.values()) {
    if (entry.kind !== "hardlink") continue;
    const target = placed.get(entry.target);
    if (target?.member === undefined || target.entry.kind !== "file" || target.owner !== owner)
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot put ${owner} into a root: "/${fromBytePath(entry.path)}" is another name of a file that is left out`,
        {
          hint: "leave the package out, or use `full: true`",
        },
      );
    groups.set(entry.target, [...(groups.get(entry.target) ?? [entry.target]), entry.path]);
  }
  const firsts = new Map<BytePath, BytePath>();
  for (const paths of groups.values()) {
    const sorted = paths.map((path) => ({ path })).sort(compareEntries);
    for (const path of paths) firsts.set(path, sorted[0]?.path ?? path);
  }
  return [...placed.values()].map(({ entry, member }): TarSource => {
    const mtime = entry.kind === "directory" ? folderTime : Math.min(entry.mtime, epoch);
    const first = firsts.get(entry.path);
    const file = entry.kind === "hardlink" ? placed.get(entry.target) : { entry, member };
    if (first !== undefined && first !== entry.path)
      return { entry: { ...entry, mtime, kind: "hardlink", size: 0, target: first } };
    if (file?.member === undefined || file.entry.kind !== "file") return { entry: { ...entry, mtime } };
    const { member: found } = file;
    return {
      entry: { ...entry, mtime, kind: "file", size: file.entry.size, target: "" },
      content: () => readMember(found),
    };
  });
}
