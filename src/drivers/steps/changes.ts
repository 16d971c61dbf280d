import {
  closeSync,
  lstatSync,
  lutimesSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmSync,
  truncateSync,
  type BigIntStats,
} from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import { compareEntries, fromBytePath, isLayerAttribute, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import type { TarSource } from "../../image/tar-write.ts";
import type { AttributeMap, Attributes } from "../../linux/attributes.ts";
import { fateOf, goesWhenEmpty } from "./leaks.ts";
import { child, isWhiteout, lookBelow, type LowerFolder, type LowerNode } from "./lower.ts";

export interface ChangesInput {
  /** The folder that overlayfs wrote into; nothing has it mounted any more. It is changed to hold the layer and no more. */
  readonly upper: string;
  /** Layers below, highest first. */
  readonly lower: readonly { readonly tree: string; readonly aside: boolean }[];
  /** Mount points that were made for the step. */
  readonly stubs: ReadonlySet<BytePath>;
  /** Whole seconds since the epoch; what is later was written by the step. */
  readonly startedAt: number;
  /** Latest time in the layer. */
  readonly epoch: number;
  readonly attributes: Attributes;
}

export interface Changes {
  /** Members of the layer, in order. Their bytes are in `upper`. */
  readonly layer: readonly TarSource[];
  /** Members of what is set aside, in order. */
  readonly aside: readonly TarSource[];
  /** Takes what is set aside out of `upper`, once it has been read: then a layer unpacked from `layer` is the same as `upper`. */
  settle(): void;
}

interface Node {
  readonly path: BytePath;
  readonly location: Buffer;
  readonly stats: BigIntStats;
  readonly attributes: AttributeMap;
  readonly below: LowerNode;
  readonly children: Node[];
  readonly isAside: boolean;
  /** Other than what is below, or new. */
  changed: boolean;
}

const opaqueAttribute = "trusted.overlay.opaque";
const noAttributes: AttributeMap = new Map();

/**
 * What a step changed, as members of a layer: whiteouts and opaque folders in OCI form, times no later than the epoch, without what
 * differs from run to run for no reason, and without what overlayfs copied up but nobody changed.
 *
 * @throws {OperatorError} `BUILD_FAILED` where the step made a device
 */
export function readChanges(input: ChangesInput): Changes {
  const { attributes, startedAt, epoch } = input;
  const upper = Buffer.from(input.upper);
  const unwanted: Buffer[] = [];
  const kept: Node[] = [];
  // At once: where Perl does it, each time costs a process.
  const ownAttributes = attributes.below(upper);

  const timeOf = (stats: BigIntStats): number => {
    const seconds = Number(stats.mtimeNs / 1_000_000_000n);
    return seconds >= startedAt || seconds > epoch ? epoch : seconds;
  };

  const visit = (folder: Buffer, path: BytePath, below: readonly LowerFolder[], isAside: boolean): Node[] => {
    const nodes: Node[] = [];
    const names = readdirSync(folder, { encoding: "buffer" }).map((name) => name.toString("latin1"));
    for (const name of names) {
      const location = child(folder, name);
      const here = path === "" ? name : `${path}/${name}`;
      const own = ownAttributes.get(location.toString("latin1")) ?? noAttributes;
      const node = look(location, here, own, lookBelow(below, name, attributes), isAside);
      if (node === undefined) rmSync(location, { recursive: true, force: true });
      else nodes.push(node);
    }
    return nodes;
  };

  const look = (
    location: Buffer,
    path: BytePath,
    own: AttributeMap,
    below: LowerNode,
    parentAside: boolean,
  ): Node | undefined => {
    let stats = lstatSync(location, { bigint: true });
    if (isWhiteout(stats)) {
      // Names that only what was set aside has are hidden from later steps, not from the image.
      const hidesAside = below.image === undefined && below.aside;
      if (below.image === undefined && !below.aside) return undefined;
      return { path, location, stats, attributes: own, below, children: [], isAside: hidesAside, changed: true };
    }
    if (stats.isSocket()) return undefined;
    if (isMarker(path)) throw refused(path, "it made a file whose name means in layers that another is gone,");
    if (stats.isCharacterDevice() || stats.isBlockDevice()) throw refused(path, "it made a device,");
    const fate = parentAside ? "aside" : fateOf(path);
    if (fate === "dropped" && (!stats.isDirectory() || (below.image === undefined && !below.aside))) return undefined;
    if (fate === "emptied" && stats.isFile() && stats.size > 0n) {
      truncateSync(location);
      stats = lstatSync(location, { bigint: true });
    }
    const isAside = fate === "aside";
    const node = { path, location, stats, attributes: own, below, isAside };
    if (!stats.isDirectory()) {
      if (input.stubs.has(path) && stats.size === 0n && below.image === undefined) return undefined;
      return { ...node, children: [], changed: isAside || isChangedFile(node) };
    }
    const isOpaque = own.get(opaqueAttribute) === "y";
    const children = visit(location, path, isOpaque ? [] : below.folders, isAside);
    const isNeedless = input.stubs.has(path) || goesWhenEmpty(path);
    if (isNeedless && children.length === 0 && below.image === undefined) return undefined;
    return { ...node, children, changed: isAside || isChangedFolder(node) };
  };

  const isChangedFolder = ({ stats, attributes: own, below }: Omit<Node, "children" | "changed">): boolean => {
    const before = below.image;
    if (before === undefined || !before.stats.isDirectory()) return true;
    return own.get(opaqueAttribute) === "y" || differ(stats, own, before) || wasSet(stats, before.stats);
  };

  const isChangedFile = ({ stats, attributes: own, below, location }: Omit<Node, "children" | "changed">): boolean => {
    const before = below.image;
    if (before === undefined || (before.stats.mode & 0o170000n) !== (stats.mode & 0o170000n)) return true;
    if (differ(stats, own, before) || before.stats.size !== stats.size || wasSet(stats, before.stats)) return true;
    if (stats.isSymbolicLink())
      return !readlinkSync(location, { encoding: "buffer" }).equals(
        readlinkSync(before.location, { encoding: "buffer" }),
      );
    return stats.isFile() && !sameBytes(location, before.location);
  };

  const differ = (
    stats: BigIntStats,
    own: AttributeMap,
    before: { readonly stats: BigIntStats; readonly location: Buffer },
  ): boolean =>
    stats.mode !== before.stats.mode ||
    stats.uid !== before.stats.uid ||
    stats.gid !== before.stats.gid ||
    attributesText(own) !== attributesText(attributes.read([before.location])[0] ?? new Map());

  /** A time of before the step, and another than the one below: somebody chose it. */
  const wasSet = (stats: BigIntStats, before: BigIntStats): boolean =>
    stats.mtimeNs !== before.mtimeNs && Number(stats.mtimeNs / 1_000_000_000n) < startedAt;

  const roots = visit(
    upper,
    "",
    input.lower.map(({ tree, aside }) => ({ location: Buffer.from(tree), aside })),
    false,
  );
  keepLinksTogether(roots);
  const layer: Member[] = [];
  const aside: Member[] = [];

  /** @returns whether something of it is in the layer, and in what is set aside */
  const collect = (node: Node): { inLayer: boolean; inAside: boolean } => {
    let inLayer = node.changed && !node.isAside;
    let inAside = node.changed && node.isAside;
    for (const below of node.children) {
      const found = collect(below);
      inLayer ||= found.inLayer;
      inAside ||= found.inAside;
    }
    const members = inLayer || inAside ? membersOf(node, timeOf(node.stats)) : [];
    if (inLayer) layer.push(...members);
    if (inAside) aside.push(...members);
    if (!inLayer) unwanted.push(node.location);
    else kept.push(node);
    return { inLayer, inAside };
  };
  for (const node of roots) collect(node);
  const isWorthKeeping = aside.some(({ entry }) => entry.size > 0 || isMarker(entry.path));
  return {
    layer: inOrder(layer),
    aside: isWorthKeeping ? inOrder(aside) : [],
    settle() {
      for (const location of unwanted) rmSync(location, { recursive: true, force: true });
      const stale = kept.filter((node) => node.attributes.has(opaqueAttribute) && !hidesBelow(node));
      attributes.remove(
        stale.map(({ location }) => location),
        opaqueAttribute,
      );
      // Owners, modes and other attributes are right already. Folders come after what is in them.
      for (const node of kept) {
        const time = timeOf(node.stats);
        if (!isWhiteout(node.stats)) lutimesSync(node.location, time, time);
      }
    },
  };
}

/** Names of one file are in the layer together, or not at all: a link to what is in another layer would be a copy. */
function keepLinksTogether(roots: readonly Node[]): void {
  const groups = new Map<bigint, Node[]>();
  const find = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      find(node.children);
      if (node.stats.isDirectory() || node.stats.nlink < 2n) continue;
      const group = groups.get(node.stats.ino);
      if (group === undefined) groups.set(node.stats.ino, [node]);
      else group.push(node);
    }
  };
  find(roots);
  for (const group of groups.values())
    if (group.some(({ changed }) => changed)) for (const node of group) node.changed = true;
}

interface Member {
  readonly entry: TarEntry;
  /** Where a file's bytes are. */
  readonly location?: Buffer;
  /** Of a file with several names. */
  readonly inode?: bigint;
}

const opaqueMarker = ".wh..wh..opq";
const whiteoutPrefix = ".wh.";

function isMarker(path: BytePath): boolean {
  return path.slice(path.lastIndexOf("/") + 1).startsWith(whiteoutPrefix);
}

/** An opaque folder matters where the image has one of that name below. */
function hidesBelow(node: Node): boolean {
  return node.attributes.get(opaqueAttribute) === "y" && node.below.image?.stats.isDirectory() === true;
}

/** @see OCI image specification, layer.md, "Whiteouts" */
function membersOf(node: Node, mtime: number): readonly Member[] {
  const { path, stats, location } = node;
  const marker = (name: string): Member => ({
    entry: { path: name, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime, size: 0, target: "" },
  });
  if (isWhiteout(stats)) {
    const slash = path.lastIndexOf("/") + 1;
    return [marker(`${path.slice(0, slash)}${whiteoutPrefix}${path.slice(slash)}`)];
  }
  const layerAttributes = Object.fromEntries([...node.attributes].filter(([name]) => isLayerAttribute(name)));
  const common = {
    path,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime,
    ...(Object.keys(layerAttributes).length === 0 ? {} : { attributes: layerAttributes }),
  };
  if (stats.isDirectory()) {
    const entry: TarEntry = { ...common, kind: "directory", size: 0, target: "" };
    return hidesBelow(node) ? [{ entry }, marker(`${path}/${opaqueMarker}`)] : [{ entry }];
  }
  const inode = stats.nlink > 1n ? { inode: stats.ino } : {};
  if (stats.isSymbolicLink()) {
    const target = readlinkSync(location, { encoding: "buffer" }).toString("latin1");
    return [{ entry: { ...common, mode: 0o777, kind: "symlink", size: 0, target }, ...inode }];
  }
  if (!stats.isFile()) return [{ entry: { ...common, kind: "fifo", size: 0, target: "" }, ...inode }];
  return [{ entry: { ...common, kind: "file", size: Number(stats.size), target: "" }, location, ...inode }];
}

function inOrder(members: readonly Member[]): readonly TarSource[] {
  const firstNames = new Map<bigint, BytePath>();
  return members
    .toSorted((a, b) => compareEntries(a.entry, b.entry))
    .map(({ entry, location, inode }): TarSource => {
      const first = inode === undefined ? undefined : firstNames.get(inode);
      if (first !== undefined) {
        const { attributes: _, ...rest } = entry;
        return { entry: { ...rest, kind: "hardlink", size: 0, target: first } };
      }
      if (inode !== undefined) firstNames.set(inode, entry.path);
      if (location === undefined) return { entry };
      const fill = (target: Buffer, at: number): void => readWhole(location, entry.size, target, at);
      return { entry, bytes: { read: () => readPieces(location), fill } };
    });
}

const pieceBytes = 1 << 20;
const buffer = Buffer.allocUnsafeSlow(pieceBytes);
const otherBuffer = Buffer.allocUnsafeSlow(pieceBytes);

/** A file's bytes, in pieces that are only valid until the next one is asked for. */
function* readPieces(location: Buffer): Generator<Uint8Array> {
  const descriptor = openSync(location, "r");
  try {
    for (;;) {
      const count = readSync(descriptor, buffer, 0, pieceBytes, null);
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(descriptor);
  }
}

function readWhole(location: Buffer, size: number, target: Buffer, at: number): void {
  const descriptor = openSync(location, "r");
  try {
    for (let read = 0; read < size;) {
      const count = readSync(descriptor, target, at + read, size - read, null);
      if (count === 0) throw new RangeError(`${location.toString()} has fewer than ${size} bytes`);
      read += count;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** @param left of the same size as `right` */
function sameBytes(left: Buffer, right: Buffer): boolean {
  const [a, b] = [openSync(left, "r"), openSync(right, "r")];
  try {
    for (;;) {
      const count = readSync(a, buffer, 0, pieceBytes, null);
      if (count !== readSync(b, otherBuffer, 0, pieceBytes, null)) return false;
      if (count === 0) return true;
      if (buffer.compare(otherBuffer, 0, count, 0, count) !== 0) return false;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function attributesText(attributes: AttributeMap): string {
  return JSON.stringify(
    [...attributes].filter(([name]) => isLayerAttribute(name)).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function refused(path: BytePath, state: string): OperatorError {
  return new OperatorError("BUILD_FAILED", `Cannot make a layer of the step: ${state} "/${fromBytePath(path)}"`, {
    hint: "remove it in the same step; instances get their devices when they start",
  });
}
