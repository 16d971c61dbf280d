import { spawnSync } from "node:child_process";
import { createReadStream, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mediaTypes } from "../../image/media-types.ts";
import { isLayerAttribute, type TarEntry } from "../../image/tar-entry.ts";
import { readTar } from "../../image/tar-read.ts";
import { digestHex, sha256 } from "../../model/canonical.ts";
import type { StepLayer, StepRequest, StepResult, StepRunner } from "../../ports/step-runner.ts";
import type { Store } from "../../ports/store.ts";
import { createLocalStore } from "../../store/local.ts";
import { topGroups } from "../../linux/cgroups.ts";
import { loadAttributes } from "../../linux/attributes.ts";
import { busyboxLayer, layerTar } from "../runc/fixture.suite.ts";
import { createStepRunner, type StepRunnerOptions } from "./runner.ts";

/** For tests of steps on real processes: a store, a cache folder, a runner, and a base of busybox. */
export interface StepBench {
  readonly folder: string;
  readonly cache: string;
  readonly store: Store;
  readonly runner: StepRunner;
  /** What every step is run on unless it says otherwise. */
  readonly base: StepLayer;
  put(tar: Buffer): Promise<StepLayer>;
  /** Runs a shell command, without network unless asked for. */
  step(
    script: string,
    more?: Partial<StepRequest>,
    signal?: AbortSignal,
  ): Promise<StepResult & { readonly output: string }>;
  /** Members of a layer, in order. */
  members(layer: StepLayer | null): Promise<readonly TarEntry[]>;
  /** A file's bytes in a layer; undefined where it has none. */
  bytes(layer: StepLayer | null, path: string): Promise<string | undefined>;
  /** Folder with the unpacked layer. */
  tree(layer: StepLayer): string;
  end(): Promise<void>;
}

export const epoch = 1_000_000_000;

export async function createStepBench(
  folder = mkdtempSync(join(tmpdir(), "bronze-steps-")),
  options: StepRunnerOptions = {},
): Promise<StepBench> {
  const cache = join(folder, "cache");
  const store = createLocalStore(join(folder, "store"));
  const runner = createStepRunner(cache, options);
  const put = async (tar: Buffer): Promise<StepLayer> => {
    const written = await store.write(tar);
    return { descriptor: { mediaType: mediaTypes.layer, ...written }, diffId: written.digest };
  };
  const base = await put(layerTar(busyboxLayer));
  const read = async (layer: StepLayer | null): Promise<ReadonlyMap<TarEntry, string>> => {
    const found = new Map<TarEntry, string>();
    if (layer === null) return found;
    for await (const { entry, content } of readTar(createReadStream(await store.path(layer.diffId)))) {
      const pieces: Buffer[] = [];
      for await (const piece of content()) pieces.push(piece);
      found.set(entry, Buffer.concat(pieces).toString("latin1"));
    }
    return found;
  };
  return {
    folder,
    cache,
    store,
    runner,
    base,
    put,
    async step(script, more = {}, signal = new AbortController().signal) {
      const pieces: Buffer[] = [];
      const request: StepRequest = {
        layers: [base],
        command: ["/bin/sh", "-c", script],
        env: [],
        secretEnv: [],
        workdir: "/",
        user: "",
        mounts: [],
        network: "none",
        epoch,
        ...more,
      };
      try {
        const result = await runner.run(request, { blobs: store, signal, output: (piece) => pieces.push(piece) });
        return { ...result, output: Buffer.concat(pieces).toString() };
      } catch (error) {
        if (error instanceof Error) Object.assign(error, { output: Buffer.concat(pieces).toString() });
        throw error;
      }
    },
    members: async (layer) => [...(await read(layer)).keys()],
    bytes: async (layer, path) => [...(await read(layer))].find(([entry]) => entry.path === path)?.[1],
    tree: (layer) => join(cache, "layers", digestHex(layer.diffId), "tree"),
    async end() {
      await runner.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Members as `path` with a letter for what they are: `/` folders, `@` symlinks, `=` hard links, `|` pipes. */
export function names(members: readonly TarEntry[]): readonly string[] {
  const letters: { readonly [kind: string]: string } = { directory: "/", symlink: "@", hardlink: "=", fifo: "|" };
  return members.map(({ path, kind }) => `${path}${letters[kind] ?? ""}`);
}

/** Everything about the files of a folder that a program in an image can see. */
export function describeTree(root: string): readonly string[] {
  const attributes = loadAttributes();
  const lines: string[] = [];
  const visit = (path: string): void => {
    for (const name of readdirSync(Buffer.from(join(root, path), "latin1"), { encoding: "latin1" }).sort()) {
      const here = path === "" ? name : `${path}/${name}`;
      const location = Buffer.from(`${root}/${here}`, "latin1");
      const stats = lstatSync(location, { bigint: true });
      const visible = [...(attributes.read([location])[0] ?? [])]
        .filter(([key]) => isLayerAttribute(key) || key === "trusted.overlay.opaque")
        .sort(([a], [b]) => (a < b ? -1 : 1));
      const content = stats.isFile()
        ? sha256(readFileSync(location))
        : stats.isSymbolicLink()
          ? readlinkSync(location, "latin1")
          : "";
      const time = stats.isCharacterDevice() ? 0n : stats.mtimeNs;
      const links = stats.isDirectory() ? 0n : stats.nlink;
      lines.push(
        [
          here,
          stats.mode.toString(8),
          stats.uid,
          stats.gid,
          stats.rdev,
          time,
          links,
          content,
          JSON.stringify(visible),
        ].join(" "),
      );
      if (stats.isDirectory()) visit(here);
    }
  };
  visit("");
  return lines;
}

/** What steps leave on the machine while they run, and nothing else does. */
export function machineTraces(folder: string): readonly string[] {
  const lines = (command: string, args: readonly string[]): readonly string[] =>
    spawnSync(command, args, { encoding: "utf8" }).stdout.split("\n");
  const processes = readdirSync("/proc").flatMap((pid) => {
    if (!/^[0-9]+$/.test(pid) || pid === String(process.pid)) return [];
    try {
      const text = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
      return text.includes(`${folder}/`) ? [`process ${pid}: ${text}`] : [];
    } catch {
      return [];
    }
  });
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(folder));
  const tag = digestHex(sha256(join(folder, "cache", "steps")));
  return [
    ...processes,
    ...mounts,
    ...topGroups(`bronze-build-${tag.slice(0, 8)}`),
    ...lines("iptables-save", []).filter((line) => line.startsWith(`:BRONZE-B-${tag.slice(0, 4)}`)),
    ...lines("ip", ["-brief", "link"]).filter((line) => line.startsWith(`y${tag.slice(0, 4)}`)),
  ];
}
