import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVolumeStore } from "../src/drivers/volumes/volumes.ts";
import { parseAppName, parseEnvironmentName } from "../src/model/names.ts";
import { formatBytes, parseSizeBytes } from "../src/model/quantities.ts";
import type { VolumeId } from "../src/model/volumes.ts";
import type { CopyWay, VolumeStore } from "../src/ports/volumes.ts";
import { stopsOnce } from "./lib/cleanup.ts";
import { percentile, round, type BenchOptions, type BenchResult, type Figure } from "./lib/figures.ts";
import { needs, require } from "./lib/packages.ts";
import { run } from "./lib/process.ts";

const kinds = ["btrfs", "xfs"] as const;
type Kind = (typeof kinds)[number];

const defaultBytes = 5 * 10 ** 9;
const defaultRuns = 3;
const goal = { atMost: 0.05 } as const;
/** A fifth of the bytes is in files of so many, the rest in one. */
const smallBytes = 2 ** 20;
const piece = 8 * 2 ** 20;
const id: VolumeId = { app: parseAppName("shop"), environment: parseEnvironmentName("production"), name: "data" };
const signal = new AbortController().signal;

/**
 * A snapshot of a volume, and a new volume from it, on disk when they are done, against full copies of the same bytes on
 * the same file system, made by the same code. `bench volume [btrfs|xfs] [SIZE]`
 */
export async function volumeBench({ runs, parts = [], say }: BenchOptions): Promise<BenchResult> {
  await require(needs.btrfs, needs.xfs);
  const size = parts.find((part) => /^\d/.test(part));
  const bytes = size === undefined ? defaultBytes : parseSizeBytes(size);
  const asked = parts.filter((part) => part !== size);
  const unknown = asked.find((part) => !kinds.includes(part as Kind));
  if (unknown !== undefined) throw new Error(`no such part: ${unknown}; there are ${kinds.join(", ")}, and a size`);
  const chosen = kinds.filter((kind) => asked.length === 0 || asked.includes(kind));
  const count = runs ?? defaultRuns;
  const measured: Measured[] = [];
  for (const kind of chosen) measured.push(await measure(kind, bytes, count, say));
  const figures = (["snapshot", "restore"] as const).map((what): Figure => {
    const all = measured.map((one) => ({ kind: one.kind, ours: median(one[what].ours), copy: median(one[what].copy) }));
    const worst = all.toSorted((a, b) => b.ours / b.copy - a.ours / a.copy)[0];
    if (worst === undefined) throw new RangeError("no file system was measured");
    const value = round(worst.ours / worst.copy);
    const versus = { name: `full copy on ${worst.kind}, ms`, value: round(worst.copy) };
    return { name: `${what}_ratio`, value, unit: "of a full copy", runs: count, versus, goal };
  });
  const notes = measured.map(
    ({ kind, way, snapshot, restore }) =>
      `${kind} (${way}), ${formatBytes(bytes)}: snapshot ${round(median(snapshot.ours))} ms, restore ${round(median(restore.ours))} ms, full copies ${round(median(snapshot.copy))} and ${round(median(restore.copy))} ms`,
  );
  return { figures, notes };
}

interface Times {
  readonly ours: number[];
  readonly copy: number[];
}

interface Measured {
  readonly kind: Kind;
  readonly way: CopyWay;
  readonly snapshot: Times;
  readonly restore: Times;
}

async function measure(kind: Kind, bytes: number, count: number, say: (text: string) => void): Promise<Measured> {
  const disk = await loopDisk(kind, bytes);
  try {
    const folder = join(disk.path, "volumes");
    const ours = createVolumeStore({ folder, wall: () => Date.now() });
    const copying = createVolumeStore({ folder, wall: () => Date.now(), way: "copy" });
    const { path, way } = await ours.ensure(id, { uid: 1000, gid: 1000, mode: 0o755 });
    say(`${formatBytes(bytes)} on ${kind}`);
    await fill(path, bytes);
    await run("sync", ["--file-system", path]);
    const snapshot: Times = { ours: [], copy: [] };
    const restore: Times = { ours: [], copy: [] };
    for (let i = 0; i < count; i += 1) {
      say(`${kind}: ${i + 1} of ${count}`);
      await turn(ours, snapshot.ours, restore.ours);
      await turn(copying, snapshot.copy, restore.copy);
    }
    return { kind, way, snapshot, restore };
  } finally {
    await disk.end();
  }
}

/** One snapshot, and one volume from it; both go again. */
async function turn(store: VolumeStore, snapshots: number[], restores: number[]): Promise<void> {
  const began = performance.now();
  await store.snapshot(id, "s", null, { signal });
  snapshots.push(performance.now() - began);
  const before = performance.now();
  await store.restore(id, "s", "again", { signal });
  restores.push(performance.now() - before);
  await store.remove({ ...id, name: "again" }, null);
  await store.remove(id, "s");
}

async function fill(folder: string, bytes: number): Promise<void> {
  const random = randomBytes(piece);
  const small = Math.floor(bytes / 5 / smallBytes);
  await mkdir(join(folder, "files"));
  for (let i = 0; i < small; i += 1) {
    random.writeUInt32LE(i, 0);
    await writeFile(join(folder, "files", String(i)), random.subarray(0, smallBytes));
  }
  const file = await open(join(folder, "large"), "w");
  for (let left = bytes - small * smallBytes; left > 0; left -= piece) {
    random.writeUInt32LE(left % 2 ** 32, 0);
    await file.write(random.subarray(0, Math.min(piece, left)));
  }
  await file.close();
}

/** A file system in a file, with room for the volume and two full copies. */
async function loopDisk(kind: Kind, bytes: number): Promise<{ readonly path: string; end(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), `bronze-${kind}-`));
  const image = join(folder, "image");
  const path = join(folder, "disk");
  await writeFile(image, "");
  await truncate(image, Math.ceil((bytes * 3.4 + 600 * 2 ** 20) / 2 ** 20) * 2 ** 20);
  await mkdir(path);
  await run(`mkfs.${kind}`, ["-q", image]);
  await run("mount", ["-o", "loop", image, path]);
  const end = stopsOnce(async () => {
    await run("umount", [path]);
    await rm(folder, { recursive: true });
  });
  return { path, end };
}

function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}
