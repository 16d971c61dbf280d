import { randomBytes } from "node:crypto";
import { statfsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { asOperatorError, OperatorError } from "../../errors/operator-error.ts";
import type { EventData } from "../../ledger/event.ts";
import type { NetworkRecord } from "../../ledger/state.ts";
import type { Digest } from "../../model/canonical.ts";
import {
  instanceName,
  splitInstanceName,
  type EnvironmentName,
  type InstanceName,
  type ProcessName,
} from "../../model/names.ts";
import type { Places } from "../../model/places.ts";
import type { Clock } from "../../ports/clock.ts";
import type { InstanceSet, InstancesWanted, ObservedInstance, Runtime, Task } from "../../ports/runtime.ts";
import type { Secrets } from "../../ports/secrets.ts";
import type { Store } from "../../ports/store.ts";
import type { VolumeStore } from "../../ports/volumes.ts";
import { volumesOfInstance } from "../../model/volumes.ts";
import { orDiskError } from "../../linux/disk.ts";
import { createAttachments, mountsToCheck, type Attachment } from "./attachments.ts";
import { forgetEarlierBoot } from "./boot.ts";
import { createCgroups } from "../../linux/cgroups.ts";
import { watchExits } from "./exits.ts";
import { factsOf } from "./facts.ts";
import { coreLimit, findProgram, openFileLimit } from "../../linux/programs.ts";
import { createConfinement } from "./confinement.ts";
import { createHostNames } from "./host-names.ts";
import { inspectInstance } from "./inspect.ts";
import { createLayers, type Layers } from "./layers.ts";
import { logBounds } from "./log-bounds.ts";
import { keepLogsSmall, pruneLogs } from "./log-rotation.ts";
import { createNetworks } from "./network.ts";
import { observeInstance } from "./observe.ts";
import { foldersOf, instanceNames, instancePaths, readBirth, readRecord } from "./record.ts";
import { finishRelease } from "./release-instance.ts";
import { removeInstance } from "./remove.ts";
import { probeRootMode, type RootMode } from "./root-mode.ts";
import { createRoots } from "./roots.ts";
import { createSecretPlace, secretsInside, secretValues, type SecretValues } from "./secret-place.ts";
import { startInstance } from "./start.ts";
import { unkeptPlaces } from "./unkept.ts";
import { watchSupervisors } from "./supervisor-watch.ts";
import { loadSyscalls } from "../../linux/syscalls.ts";

export interface RuncRuntimeOptions {
  readonly places: Places;
  readonly store: Store;
  readonly clock: Clock;
  readonly secrets: Secrets;
  /** Environments' networks, from the ledger; any other is chosen and recorded at its first use. */
  readonly networks: ReadonlyMap<EnvironmentName, NetworkRecord>;
  /** What all environments had together in earlier versions, from the ledger. */
  readonly sharedSubnet: string | null;
  readonly volumes: VolumeStore;
  /** Image digests by layer, from the ledger. */
  readonly layerImages: ReadonlyMap<Digest, Digest>;
  /** Puts an event into the ledger; it is on disk when this returns. */
  readonly record: (data: EventData) => void;
  /** How roots are held; default: what this machine can do. */
  readonly rootMode?: RootMode["kind"];
}

export interface RuncRuntime extends Runtime {
  readonly rootMode: RootMode;
  /** Its layers' images, for whoever checks them. */
  readonly images: Pick<Layers, "stored" | "distrust"> & {
    /** Makes what is missing of an artifact's images, without anything else that instances need. */
    make(artifact: Digest): Promise<void>;
  };
  /** Stops watching; instances, mounts and network stay for the next daemon. */
  stop(): void;
}

/** An instance that has no process yet. */
interface Starting {
  readonly set: InstanceSet;
  readonly process: ProcessName;
  readonly ordinal: number;
  readonly atMs: number;
  /** Nobody wants it any more: that it does not come up is no failure. */
  isRemoved: boolean;
  /** Settles when its making has come to an end, however; absent before it began. */
  making?: Promise<void>;
}

/** Most instances that are being started at once. */
const mostStarts = 8;

/** Runs contents by runc under conmon. @see docs/ARCHITECTURE.md */
export async function createRuncRuntime(options: RuncRuntimeOptions): Promise<RuncRuntime> {
  const { places, clock } = options;
  const folders = foldersOf(places);
  const volatile = ["instances", "exits", "runc", "layers", "seals", "roots"].map((name) => join(places.run, name));
  await forgetEarlierBoot(places.run, volatile);
  await mkdir(folders.logs, { recursive: true, mode: 0o750 });
  const syscalls = loadSyscalls();
  const probed = await probeRootMode(join(places.state, "layers"), syscalls);
  const rootMode: RootMode =
    options.rootMode === "unpacked" ? { kind: "unpacked", mountOptions: "", reason: "asked for" } : probed;
  const layers = await createLayers({
    folder: join(places.state, "layers"),
    run: places.run,
    mode: rootMode,
    syscalls,
    store: options.store,
    known: options.layerImages,
    record: options.record,
  });
  const roots = createRoots({ run: places.run, store: options.store, layers, syscalls });
  const cgroups = createCgroups(places.tag);
  const networks = createNetworks({
    tag: places.tag,
    run: places.run,
    known: options.networks,
    shared: options.sharedSubnet,
    record: options.record,
    clock,
    unique: () => randomBytes(3).toString("hex"),
  });
  const exits = watchExits(folders);
  const { blocks, bsize } = statfsSync(folders.logs);
  const bounds = logBounds(blocks * bsize);
  const supervisors = watchSupervisors(folders, clock);
  const starting = new Map<InstanceName, Starting>();
  const hostNames = createHostNames(folders);
  const confinement = createConfinement(cgroups);
  const tools = {
    folders,
    hostNames,
    cgroups,
    clock,
    runtimePath: findProgram("runc"),
    openFiles: openFileLimit(),
    coreBytes: coreLimit(),
    secretPlace: createSecretPlace(folders, syscalls),
    exits,
    supervisors,
  };
  const attachments = createAttachments({ folders, cgroups, roots, volumes: options.volumes });
  const stopRotation = keepLogsSmall(folders, bounds, clock);
  const perSet = new Map<string, Promise<unknown>>();
  const perTask = new Map<string, Promise<unknown>>();
  const slots = createSlots(mostStarts);

  function observeOne(name: InstanceName): ObservedInstance | undefined {
    const under = starting.get(name);
    if (under === undefined) return observeInstance(folders, name);
    return {
      name,
      set: under.set.name,
      process: under.process,
      ordinal: under.ordinal,
      digest: under.set.digest,
      phase: "running",
      address: null,
      port: under.set.content.settings.port,
      pid: null,
      startedAtMs: under.atMs,
      exit: null,
      orphaned: false,
    };
  }

  const observeAll = (): readonly ObservedInstance[] => {
    const names = [...new Set([...instanceNames(folders), ...starting.keys()])].sort();
    return names.flatMap((name) => observeOne(name) ?? []);
  };

  const heldAddresses = (): ReadonlySet<string> =>
    new Set(instanceNames(folders).flatMap((name) => readRecord(instancePaths(folders, name))?.address ?? []));

  async function start(
    set: InstanceSet,
    process: ProcessName,
    ordinal: number,
    secrets: SecretValues,
    signal: AbortSignal,
    task?: Task,
  ): Promise<void> {
    const name = instanceName(set.name, ordinal, process);
    const ended = Promise.withResolvers<void>();
    const under: Starting = { set, process, ordinal, atMs: clock.now(), isRemoved: false };
    starting.set(name, under);
    const leave = await slots.enter();
    let address: string | undefined;
    const network = networks.of(set.environment);
    let attachment: Attachment | undefined;
    try {
      const [pool] = await Promise.all([network.ready(), confinement.settled(set)]);
      signal.throwIfAborted();
      const { artifact, settings } = set.content;
      const prepared = await roots.prepare(artifact);
      const volumes = volumesOfInstance(settings, process, set, task);
      const paths = volumes.map(({ mount }) => mount.path);
      const mounted = [...settings.tmpfs, ...paths, ...(secrets.size === 0 ? [] : [secretsInside])];
      const root = await roots.root(artifact, mounted);
      attachment = await attachments.attach(name, artifact, volumes);
      address = await pool.take(heldAddresses());
      if (under.isRemoved && task === undefined) throw new Error(`instance "${name}" is wanted no more`);
      under.making = ended.promise;
      await startInstance(tools, {
        set,
        process,
        ordinal,
        prepared,
        root,
        address,
        network,
        cpuLimit: confinement.cpuOf(set),
        secrets,
        attachment,
        ...(task && { task }),
      });
    } catch (error) {
      await removeInstance(tools, name, 0, signal).catch(() => {});
      if (address !== undefined) networks.giveBack(address);
      if (!under.isRemoved || task !== undefined) throw error;
    } finally {
      attachment?.done();
      leave();
      starting.delete(name);
      ended.resolve();
    }
  }

  async function ensure(set: InstanceSet, wanted: InstancesWanted, signal: AbortSignal): Promise<void> {
    const { process, count, ending = [] } = wanted;
    signal.throwIfAborted();
    await Promise.all([roots.prepare(set.content.artifact), networks.of(set.environment).ready()]);
    const there = observeAll().filter((instance) => instance.set === set.name && instance.process === process);
    const counted = there.filter(({ name, phase }) => phase === "running" && !ending.includes(name));
    const missing = Math.max(0, count - counted.length);
    const taken = new Set(there.map(({ ordinal }) => ordinal));
    const ordinals = wanted.ordinals.filter((ordinal) => !taken.has(ordinal)).slice(0, missing);
    const secrets = ordinals.length === 0 ? new Map() : await secretValues(options.secrets, set);
    const results = await Promise.allSettled(ordinals.map((ordinal) => start(set, process, ordinal, secrets, signal)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw startError(set, failed.reason, signal);
  }

  async function startTask(set: InstanceSet, task: Task, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const name = instanceName(set.name, task.ordinal, task.process);
    const there = observeOne(name);
    if (there !== undefined && there.phase !== "broken") return;
    if (there !== undefined) {
      // Its first process waits until after its birth was written down: without that it never ran.
      if (readBirth(instancePaths(folders, name)) !== undefined) throw endUnseen(name);
      await removeInstance(tools, name, 0, signal);
    }
    try {
      await Promise.all([roots.prepare(set.content.artifact), networks.of(set.environment).ready()]);
      const secrets = task.sees === "artifact" ? new Map() : await secretValues(options.secrets, set);
      await start(set, task.process, task.ordinal, secrets, signal, task);
    } catch (error) {
      throw startError(set, error, signal);
    }
  }

  function startError(set: InstanceSet, thrown: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const error = orDiskError(thrown, `start an instance of ${set.name} in "${places.run}"`, places.run);
    if (error instanceof OperatorError) return error;
    return new OperatorError("RUNTIME_FAILED", `Cannot start an instance of ${set.name}`, {
      hint: "run `bronze doctor` to see whether the machine is fit",
      cause: asOperatorError(error).cause,
    });
  }

  const present = instanceNames(folders);
  for (const name of present) {
    supervisors.add(name);
    const paths = instancePaths(folders, name);
    const first = readBirth(paths)?.process;
    // What cannot be let run any more is found out by whoever waits for it.
    if (first !== undefined) finishRelease(name, paths, first).catch(() => {});
  }
  tools.secretPlace.sweep(new Set(present));

  return {
    rootMode,
    images: {
      stored: layers.stored,
      distrust: layers.distrust,
      make: async (artifact) => void (await roots.prepare(artifact)),
    },
    async prepare(artifact, signal, environment) {
      signal.throwIfAborted();
      const network = environment === undefined ? undefined : networks.of(environment);
      await Promise.all([roots.prepare(artifact), network?.ready()]);
    },
    async checkVolumes(content, signal) {
      signal.throwIfAborted();
      const mounts = mountsToCheck(content);
      if (mounts.length === 0) return;
      await roots.prepare(content.artifact);
      await attachments.check(content.artifact, mounts);
    },
    unkept: async (name) => unkeptPlaces(folders, name),
    async ensure(set, wanted, signal) {
      // One after the other for a set: a second call must see what the first has started.
      await inTurn(perSet, set.name, () => ensure(set, wanted, signal));
    },
    async startTask(set, task, signal) {
      // One after the other for a task: it never runs twice.
      await inTurn(perTask, instanceName(set.name, task.ordinal, task.process), () => startTask(set, task, signal));
    },
    observe: async () => observeAll(),
    async remove(names, graceMs, signal) {
      const environments = new Set(names.flatMap((name) => splitInstanceName(name)?.environment ?? []));
      await Promise.all([...environments].map((environment) => networks.of(environment).ready()));
      const results = await Promise.allSettled(
        names.map(async (name) => {
          const under = starting.get(name);
          if (under !== undefined) under.isRemoved = true;
          const address = readRecord(instancePaths(folders, name))?.address;
          await removeInstance(tools, name, graceMs, signal, under?.making);
          if (address !== undefined) networks.giveBack(address);
        }),
      );
      await pruneLogs(folders);
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
    async tellNames(environment, apps, signal) {
      signal.throwIfAborted();
      await hostNames.tell(environment, apps);
    },
    async confine(app, environment, limits, signal) {
      signal.throwIfAborted();
      await confinement.confine(app, environment, limits);
    },
    facts: (name) => factsOf(folders, name),
    inspect: (name) =>
      starting.has(name)
        ? Promise.resolve(null)
        : inspectInstance(folders, name, clock.now(), async (used) =>
            (await Promise.all(used.map((layer) => layers.intact(layer)))).every(Boolean),
          ),
    async release(keep) {
      const used = instanceNames(folders).flatMap((name) => readRecord(instancePaths(folders, name))?.artifact ?? []);
      await roots.keep(new Set([...keep, ...used]));
    },
    onExit: (listener) => exits.onExit(listener),
    onOrphan: (listener) => supervisors.onLost(listener),
    stop,
    async close() {
      const running = observeAll().filter(({ phase }) => phase === "running");
      if (running.length > 0) {
        throw new OperatorError("RUNTIME_FAILED", `Cannot close the runtime: ${running.length} instances still run`, {
          hint: "remove them first: `bronze down --all`",
        });
      }
      const never = new AbortController().signal;
      for (const name of instanceNames(folders)) await removeInstance(tools, name, 0, never);
      stop();
      tools.secretPlace.close();
      await roots.keep(new Set());
      await networks.remove();
      await cgroups.removeAll();
      for (const folder of volatile) await rm(folder, { recursive: true, force: true });
      await rm(join(places.run, "boot-id"), { force: true });
    },
  };

  function stop(): void {
    stopRotation();
    exits.stop();
    supervisors.stop();
  }
}

function endUnseen(name: InstanceName): OperatorError {
  return new OperatorError("RUNTIME_FAILED", `Cannot start instance "${name}": it ran, and nobody saw how it ended`, {
    hint: `see what it wrote: \`bronze logs ${name}\``,
  });
}

/** Lets at most `count` in at a time, in order of arrival. */
function createSlots(count: number): { enter(): Promise<() => void> } {
  let free = count;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return {
    async enter() {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      return leave;
    },
  };
}

/** Does what is asked for under one key one after the other, whatever came of what was before. */
async function inTurn(turns: Map<string, Promise<unknown>>, key: string, ask: () => Promise<void>): Promise<void> {
  const before = turns.get(key) ?? Promise.resolve();
  const work = before.catch(() => {}).then(ask);
  turns.set(key, work);
  try {
    await work;
  } finally {
    if (turns.get(key) === work) turns.delete(key);
  }
}
