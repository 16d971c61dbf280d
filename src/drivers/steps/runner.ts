import { mkdir, writeFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { mediaTypes } from "../../image/media-types.ts";
import type { BytePath } from "../../image/tar-entry.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { tarPieces } from "../../image/tar-write.ts";
import type {
  NetworkUse,
  StepLayer,
  StepOptions,
  StepRequest,
  StepResult,
  StepRunner,
} from "../../ports/step-runner.ts";
import { loadAttributes } from "../../linux/attributes.ts";
import { orDiskError } from "../../linux/disk.ts";
import { hostResolvers, hostsFile } from "../../linux/host-files.ts";
import { readInside } from "../../linux/inside.ts";
import { findProgram, openFileLimit } from "../../linux/programs.ts";
import { seccompFor } from "../../linux/seccomp.ts";
import { loadSyscalls } from "../../linux/syscalls.ts";
import { resolveUser, type ResolvedUser } from "../../linux/user.ts";
import { watchBounds } from "./bounds.ts";
import { readChanges, type Changes } from "./changes.ts";
import { stepEnvironment } from "./environment.ts";
import { explainEnd } from "./failure.ts";
import { launch, type Launched } from "./launcher.ts";
import { makeMountPoint } from "./mount-points.ts";
import { prepareMounts, type MountSources } from "./mounts.ts";
import { createStepNetwork } from "./network.ts";
import { createPlaces, stepsFolder, type StepPlace } from "./place.ts";
import { hostName, stepCapabilities, stepSpec } from "./spec.ts";
import { createTrees } from "./trees.ts";

/** Files of the machine that the step sees in its own form, and may write to: it is gone afterwards. */
const boundFiles = ["hostname", "hosts", "resolv.conf"] as const;
/** The step's own address on loopback is the same everywhere; that on its network is not. */
const ownAddress = "127.0.1.1";

/** What a step's program may start at most; beyond it the step is ended. */
const defaultMostProcesses = 4096;

export interface StepRunnerOptions {
  readonly mostProcesses?: number;
  /** How system calls are made that Node has no function for. */
  readonly way?: "best" | "perl";
}

/**
 * Runs steps in runc, each in namespaces that end with this process.
 *
 * @param cacheDir unpacked layers are in its folder `layers`, cache mounts in `mounts`, what is being made in `steps`
 */
export function createStepRunner(
  cacheDir: string,
  { mostProcesses = defaultMostProcesses, way = "best" }: StepRunnerOptions = {},
): StepRunner {
  const places = createPlaces(stepsFolder(cacheDir));
  const trees = createTrees(join(cacheDir, "layers"), places.scratch, loadSyscalls(way));
  const attributes = loadAttributes(way);
  const network = createStepNetwork(places.networkName);
  const seccomp = seccompFor(process.arch === "arm64" ? "arm64" : "amd64", stepCapabilities);

  async function run(request: StepRequest, options: StepOptions): Promise<StepResult> {
    const { signal, blobs } = options;
    signal.throwIfAborted();
    const place = await places.step();
    const { folder } = place;
    try {
      const [lower] = await Promise.all([
        Promise.all(request.layers.map((layer) => trees.ready(layer, blobs))),
        ...["private", "root", "none", "upper", "work"].map((name) => mkdir(join(folder, name), { mode: 0o755 })),
      ]);
      // By the clock that times files: this process's may be another.
      const startedAt = Math.floor((await stat(join(folder, "upper"))).mtimeMs / 1000);
      const sources = await prepareMounts(request.mounts, {
        folder,
        cacheMounts: join(cacheDir, "mounts"),
        trees,
        blobs,
        signal,
      });
      let done: { readonly use: NetworkUse; readonly stubs: readonly BytePath[] };
      try {
        done = await runContainer(request, options, place, lower.toReversed(), sources);
      } finally {
        await sources.release();
      }
      signal.throwIfAborted();
      const changes = readChanges({
        upper: join(folder, "upper"),
        lower: lower.map((tree, index) => ({ tree, aside: request.layers[index]?.aside === true })).toReversed(),
        stubs: new Set(done.stubs),
        startedAt,
        epoch: request.epoch,
        attributes,
      });
      return { ...(await keep(changes, join(folder, "upper"), options)), network: done.use };
    } catch (error) {
      // Whatever failed then failed because its namespaces were gone.
      signal.throwIfAborted();
      throw orDiskError(error, "run a build step", cacheDir);
    } finally {
      await place.remove();
    }
  }

  async function runContainer(
    request: StepRequest,
    { signal, output }: StepOptions,
    place: StepPlace,
    lower: readonly string[],
    sources: MountSources,
  ): Promise<{ readonly use: NetworkUse; readonly stubs: readonly BytePath[] }> {
    const { folder } = place;
    const root = join(folder, "root");
    const secret = join(folder, "private");
    const tail = keepTail();
    const launched = await launch({
      folder,
      mounts: [
        {
          target: root,
          upper: { upper: join(folder, "upper"), work: join(folder, "work") },
          lower: [...lower, join(folder, "none")],
        },
        ...sources.overlays,
      ],
      command: [
        findProgram("runc"),
        "--root",
        join(secret, "runc"),
        "--log",
        join(secret, "log"),
        "--log-format",
        "json",
        "run",
        "--detach",
        "--pid-file",
        join(secret, "pid"),
        "--bundle",
        secret,
        place.cgroup,
      ],
      output: (piece) => {
        tail.add(piece);
        output(piece);
      },
    });
    const onAbort = (): void => void launched.end();
    signal.addEventListener("abort", onAbort, { once: true });
    const bounds = watchBounds(place.cgroup, folder, onAbort);
    try {
      const [stubs] = await Promise.all([
        prepare(request, place, launched, sources),
        ...(request.network === "egress" ? [network.join(launched.pid, place.interfaceName)] : []),
      ]);
      signal.throwIfAborted();
      const ended = await launched.run().catch((error: unknown) => {
        if (bounds.reached().tooManyProcesses) return { kind: "exit" as const, status: 137 };
        throw error;
      });
      const use = network.use(place.interfaceName);
      if (ended.kind === "exit" && ended.status === 0) return { use, stubs };
      const log = await readInside(launched.inside(secret), "log");
      await launched.end();
      throw explainEnd({
        request,
        ended,
        log: log ?? "",
        bounds: bounds.reached(),
        mostProcesses,
        tail: tail.text(),
        folder,
      });
    } finally {
      bounds.stop();
      signal.removeEventListener("abort", onAbort);
      await launched.end();
    }
  }

  /** Writes what the container starts from: all of it on the file system in memory, which nobody else sees. */
  async function prepare(
    request: StepRequest,
    place: StepPlace,
    launched: Launched,
    sources: MountSources,
  ): Promise<readonly BytePath[]> {
    const root = join(place.folder, "root");
    const secret = join(place.folder, "private");
    const insideRoot = launched.inside(root);
    const [passwd, group, placed] = await Promise.all([
      readInside(insideRoot, "/etc/passwd"),
      readInside(insideRoot, "/etc/group"),
      sources.place(launched, root),
    ]);
    const stubs: BytePath[] = [...placed.stubs];
    const point = async (path: string, kind: "file" | "folder"): Promise<string> => {
      const made = await makeMountPoint(insideRoot, path, kind);
      stubs.push(...made.made);
      return made.path;
    };
    for (const path of ["/proc", "/sys", "/dev"]) await point(path, "folder");
    const files = {
      hostname: `${hostName}\n`,
      hosts: hostsFile(hostName, ownAddress),
      "resolv.conf": hostResolvers(),
    };
    const bound = [];
    for (const name of boundFiles) {
      await writeFile(launched.inside(join(secret, name)), files[name], { mode: 0o644 });
      const destination = await point(`/etc/${name}`, "file");
      bound.push({ destination, type: "bind", source: join(secret, name), options: ["bind", "rw", "nosuid", "nodev"] });
    }
    const user = userOf(request.user, passwd ?? "", group ?? "");
    const spec = stepSpec({
      root,
      arguments: request.command,
      environment: stepEnvironment([...request.env, ...request.secretEnv], user.home, request.epoch),
      cwd: request.workdir === "" ? "/" : request.workdir,
      user,
      mounts: [...bound, ...placed.mounts],
      cgroupsPath: `/${place.cgroup}`,
      seccomp,
      openFiles: openFileLimit(),
      mostProcesses,
    });
    await Promise.all([
      writeFile(launched.inside(join(secret, "config.json")), JSON.stringify(spec), { mode: 0o600 }),
      writeFile(launched.inside(join(secret, "input")), request.input ?? "", { mode: 0o600 }),
    ]);
    return stubs;
  }

  /** Makes layers of the changes. The folder that the step wrote into becomes the unpacked layer. */
  async function keep(
    changes: Changes,
    upper: string,
    { blobs, signal }: StepOptions,
  ): Promise<Pick<StepResult, "layer" | "aside">> {
    const write = async (sources: readonly TarSource[]): Promise<StepLayer | null> => {
      if (sources.length === 0) return null;
      const written = await blobs.write(tarPieces(sources, signal));
      return { descriptor: { mediaType: mediaTypes.layer, ...written }, diffId: written.digest };
    };
    const layer = await write(changes.layer);
    const aside = await write(changes.aside);
    if (layer !== null) {
      changes.settle();
      await trees.adopt(layer.diffId, upper);
    }
    return { layer, aside: aside === null ? null : { ...aside, aside: true } };
  }

  return {
    run,
    async close() {
      await network.close();
      await places.close();
    },
  };
}

function userOf(user: string, passwd: string, group: string): ResolvedUser {
  try {
    return resolveUser(user, passwd, group);
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    throw new OperatorError("BUILD_FAILED", error.message, { hint: error.hint });
  }
}

const tailBytes = 64 * 1024;

/** The end of a program's output: it may say why it ended. */
function keepTail(): { add(piece: Buffer): void; text(): string } {
  let kept = Buffer.alloc(0);
  return {
    add(piece) {
      kept = Buffer.concat([kept, piece.subarray(-tailBytes)]).subarray(-tailBytes);
    },
    text: () => kept.toString("utf8"),
  };
}
