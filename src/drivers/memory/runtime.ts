import { OperatorError } from "../../errors/operator-error.ts";
import type { UnkeptPlace } from "../../model/api/status.ts";
import type { Digest } from "../../model/canonical.ts";
import {
  instanceName,
  splitInstanceName,
  type AppName,
  type EnvironmentName,
  type InstanceName,
  type ProcessName,
} from "../../model/names.ts";
import type { EnvironmentLimits } from "../../model/content.ts";
import type { AppAddresses, ExpectedObservation } from "../../model/observation.ts";
import { processSettings } from "../../model/processes.ts";
import type { SecretName } from "../../model/secret.ts";
import { allVolumesOf, clashes, formatVolume, volumesOfInstance, type AttachedVolume } from "../../model/volumes.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Prober, ProbeResult } from "../../ports/prober.ts";
import type { Secrets } from "../../ports/secrets.ts";
import type {
  Exit,
  InstanceFacts,
  InstanceObservation,
  InstanceSet,
  InstancesWanted,
  ObservedInstance,
  Runtime,
  Task,
} from "../../ports/runtime.ts";
import type { VolumeStore } from "../../ports/volumes.ts";
import { createMemoryVolumes } from "./volumes.ts";

/** What instances of a content do. */
export interface Behaviour {
  /** Time until an instance has a process and an address. */
  readonly startMs: number;
  /** Instead of starting, this is what goes wrong. */
  readonly failure: string | null;
  /** Time from then on until it answers requests; null: never. */
  readonly readyMs: number | null;
  /** Status it answers probes with once it is ready. */
  readonly status: number;
  /** It ends by itself after this time with `exitCode`; null: it runs on. */
  readonly exitMs: number | null;
  readonly exitCode: number;
  /** It ends at SIGTERM; otherwise it takes the whole grace period. */
  readonly endsOnTerm: boolean;
}

export const wellBehaved: Behaviour = {
  startMs: 0,
  failure: null,
  readyMs: 0,
  status: 200,
  exitMs: null,
  exitCode: 1,
  endsOnTerm: true,
};

/** What a task does. */
export interface TaskBehaviour {
  /** Time until it ends by itself; null: never. */
  readonly exitMs: number | null;
  readonly code: number;
  /** Lines it writes. */
  readonly output: readonly string[];
  /** Instead of starting, this is what goes wrong. */
  readonly failure: string | null;
}

const refusal = Promise.resolve<ProbeResult>({ kind: "refused", latencyMs: 0 });
const acceptance = Promise.resolve<ProbeResult>({ kind: "accepted", latencyMs: 1 });
/** By status: an instance is asked again and again, and its answer is mostly the same. */
const answers = new Map<number, Promise<ProbeResult>>();

function answerOf(status: number): Promise<ProbeResult> {
  const known = answers.get(status);
  if (known !== undefined) return known;
  const made = Promise.resolve<ProbeResult>({ kind: "answered", status, latencyMs: 1, body: "" });
  answers.set(status, made);
  return made;
}

const brief: TaskBehaviour = { exitMs: 10, code: 0, output: [], failure: null };

/** An instance as it is in truth, whatever anybody has seen of it. */
export interface TrueInstance {
  readonly seen: ObservedInstance;
  readonly set: InstanceSet;
  /** When it answers requests, monotonic. */
  readonly readyAtMs: number;
  /** What it answers; null: nothing. */
  readonly status: number | null;
}

interface Running {
  readonly set: InstanceSet;
  seen: ObservedInstance;
  readonly behaviour: Behaviour;
  readonly readyAtMs: number;
  status: number | null;
  /** What its content makes it; worked out when it is first asked for. */
  expected?: ExpectedObservation;
  changed: Partial<InstanceObservation>;
  facts: Partial<InstanceFacts>;
  readonly volumes: readonly AttachedVolume[];
  unkept: readonly UnkeptPlace[];
}

/** A machine in memory: instances live in it, and daemons with their `runtime()` come and go. */
export interface MemoryMachine {
  /**
   * The machine as a (new) daemon sees it.
   *
   * @param secrets where instances' values are read; absent: nowhere
   * @param lives whether that daemon still does: what a dead one had begun is not gone on with
   */
  runtime(secrets?: Secrets, lives?: () => boolean): Runtime;
  /** Answers as the instances would. */
  readonly prober: Prober;
  /** What instances started from now on do: of one content, or of any other; of one process, or of any other. */
  behave(behaviour: Partial<Behaviour>, content?: Digest, process?: ProcessName): void;
  /** What tasks with this command, or of this process, started from now on do; the default is to end well. */
  behaveTask(commandOrProcess: string, behaviour: Partial<TaskBehaviour>): void;
  /** Every task that ran, in order, also those that are gone. */
  readonly ran: readonly { readonly instance: InstanceName; readonly task: Task }[];
  /** Ends an instance now. */
  exit(name: InstanceName, code: number, outOfMemory?: boolean): void;
  /** Every instance is gone, and nobody tells how it ended. */
  cutPower(): void;
  /** Lets its supervisor die. */
  orphan(name: InstanceName): void;
  /** Whoever was starting instances ends: those that have no process yet are left half-made. */
  interrupt(): void;
  /** How many were ever started. */
  started(): number;
  /** All there are, in the order in which they were started. */
  instances(): Iterable<TrueInstance>;
  /** One that is there. */
  instance(name: InstanceName): TrueInstance | undefined;
  /** From now on it answers probes with this; null: not at all. */
  answer(name: InstanceName, status: number | null): void;
  /** From now on `inspect` sees this. */
  change(name: InstanceName, observation: Partial<InstanceObservation>): void;
  /** What all instances have together, by app and environment with a space between. */
  readonly limited: ReadonlyMap<string, EnvironmentLimits>;
  /** What an app's name stands for in an instance. */
  resolve(name: InstanceName, app: string): readonly string[];
  /** From now on `facts` tells this. */
  know(name: InstanceName, facts: Partial<InstanceFacts>): void;
  /** From now on its tmpfs folders hold this. */
  scribble(name: InstanceName, places: readonly UnkeptPlace[]): void;
  /** Every image has files below this path. */
  hide(path: string): void;
  /** Instances that were not started, because another had a volume that only one may have. */
  readonly refused: readonly InstanceName[];
  /** Instances that had a volume beside another though only one may: none, ever. */
  readonly trespassers: readonly InstanceName[];
  /** Artifacts that `prepare` has been asked for and `release` has not taken. */
  readonly prepared: ReadonlySet<Digest>;
}

export function createMemoryMachine(options: {
  readonly clock: Clock;
  readonly lacks?: ReadonlySet<Digest>;
  readonly volumes?: VolumeStore;
  /** Lets instances have volumes that are another's, so that it shows whether anybody asks for that. */
  readonly trusting?: boolean;
  /** What an instance that is started now does; undefined: what `behave` says. */
  readonly behaves?: (set: InstanceSet, process: ProcessName, ordinal: number) => Behaviour | undefined;
}): MemoryMachine {
  const { clock } = options;
  const instances = new Map<InstanceName, Running>();
  const listeners = new Set<(name: InstanceName, exit: Exit) => void>();
  const orphanListeners = new Set<(name: InstanceName) => void>();
  const behaviours = new Map<string, Behaviour>();
  const taskBehaviours = new Map<string, TaskBehaviour>();
  const ran: { readonly instance: InstanceName; readonly task: Task }[] = [];
  const lastWords = new Map<InstanceName, readonly string[]>();
  const prepared = new Set<Digest>();
  const perSet = new Map<string, Promise<void>>();
  const limited = new Map<string, EnvironmentLimits>();
  const told = new Map<EnvironmentName, readonly AppAddresses[]>();
  const volumeStore = options.volumes ?? createMemoryVolumes(clock);
  const refused: InstanceName[] = [];
  const trespassers: InstanceName[] = [];
  const hidden: string[] = [];
  let counter = 0;

  const byAddress = new Map<string, Running>();

  const pass = (ms: number): Promise<void> =>
    ms <= 0 ? Promise.resolve() : new Promise((resolve) => clock.after(ms, resolve));

  const keyOf = (content?: Digest, process?: ProcessName): string => `${content ?? "any"} ${process ?? "any"}`;

  function behaviourOf(content: Digest, process: ProcessName): Behaviour {
    const keys = [keyOf(content, process), keyOf(content), keyOf(undefined, process), keyOf()];
    return keys.map((key) => behaviours.get(key)).find((behaviour) => behaviour !== undefined) ?? wellBehaved;
  }

  function exit(name: InstanceName, code: number, outOfMemory = false): void {
    const running = instances.get(name);
    if (running === undefined || running.seen.phase !== "running") return;
    if (running.seen.orphaned) {
      running.seen = { ...running.seen, phase: "broken", pid: null };
      for (const listener of orphanListeners) listener(name);
      return;
    }
    const ended: Exit = { code, outOfMemory, atMs: clock.now() };
    running.seen = { ...running.seen, phase: "exited", pid: null, exit: ended };
    for (const listener of listeners) listener(name, ended);
  }

  function prepare(artifact: Digest, signal: AbortSignal): void {
    signal.throwIfAborted();
    if (options.lacks?.has(artifact) === true)
      throw new OperatorError("NOT_FOUND", `Cannot use artifact ${artifact}: not in the store`, {
        hint: "build or import it",
      });
    prepared.add(artifact);
  }

  function attach(name: InstanceName, volumes: readonly AttachedVolume[]): void {
    if (volumes.length === 0) return;
    for (const { seen, volumes: others } of instances.values()) {
      const [both] = seen.phase === "running" ? clashes(volumes, others) : [];
      if (both === undefined) continue;
      if (options.trusting === true) return void trespassers.push(name);
      refused.push(name);
      throw new OperatorError(
        "VOLUME_ATTACHED",
        `Cannot start instance "${name}": volume ${formatVolume(both)} is attached to ${seen.name}`,
        { hint: "it is tried again when that one has ended" },
      );
    }
  }

  async function start(
    set: InstanceSet,
    process: ProcessName,
    ordinal: number,
    signal: AbortSignal,
    behaviour = options.behaves?.(set, process, ordinal) ?? behaviourOf(set.digest, process),
    task?: Task,
  ): Promise<void> {
    const name = instanceName(set.name, ordinal, process);
    const volumes = volumesOfInstance(set.content.settings, process, set, task);
    for (const { id } of volumes) await volumeStore.ensure(id, { uid: 0, gid: 0, mode: 0o755 });
    attach(name, volumes);
    counter += 1;
    const number = counter;
    const seen: ObservedInstance = {
      name,
      set: set.name,
      process,
      ordinal,
      digest: set.digest,
      phase: "running",
      address: null,
      port: set.content.settings.port,
      pid: null,
      startedAtMs: clock.now(),
      exit: null,
      orphaned: false,
    };
    const running: Running = {
      set,
      seen,
      behaviour,
      readyAtMs: clock.monotonic() + behaviour.startMs + (behaviour.readyMs ?? Infinity),
      status: behaviour.status,
      changed: {},
      facts: {},
      volumes,
      unkept: [],
    };
    instances.set(name, running);
    await pass(behaviour.startMs);
    // Left half-made meanwhile, or gone.
    if (instances.get(name) !== running || running.seen.phase !== "running") return;
    if (signal.aborted || behaviour.failure !== null) {
      instances.delete(name);
      signal.throwIfAborted();
      throw new OperatorError("RUNTIME_FAILED", `Cannot start instance "${name}": ${behaviour.failure}`, {
        hint: "look at its command",
      });
    }
    const address = `10.${128 + (number >>> 16)}.${(number >>> 8) & 255}.${number & 255}`;
    running.seen = { ...running.seen, address, pid: 1000 + number, startedAtMs: clock.now() };
    byAddress.set(address, running);
    const end = (): void => {
      if (instances.get(name) === running) exit(name, behaviour.exitCode);
    };
    if (behaviour.exitMs === 0) end();
    else if (behaviour.exitMs !== null) clock.after(behaviour.exitMs, end);
  }

  async function ensure(set: InstanceSet, wanted: InstancesWanted, signal: AbortSignal): Promise<void> {
    const { process, count, ending = [] } = wanted;
    prepare(set.content.artifact, signal);
    const there = [...instances.values()]
      .map(({ seen }) => seen)
      .filter((seen) => seen.set === set.name && seen.process === process);
    const counted = there.filter(({ name, phase }) => phase === "running" && !ending.includes(name));
    const missing = Math.max(0, count - counted.length);
    const taken = new Set(there.map(({ ordinal }) => ordinal));
    const ordinals = wanted.ordinals.filter((ordinal) => !taken.has(ordinal)).slice(0, missing);
    const results = await Promise.allSettled(ordinals.map((ordinal) => start(set, process, ordinal, signal)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async function startTask(set: InstanceSet, task: Task, signal: AbortSignal): Promise<void> {
    prepare(set.content.artifact, signal);
    const name = instanceName(set.name, task.ordinal, task.process);
    const there = instances.get(name)?.seen;
    if (there !== undefined && there.phase !== "broken") return;
    // One without an address was only half made: it never ran.
    if (there !== undefined && there.address !== null)
      throw new OperatorError(
        "RUNTIME_FAILED",
        `Cannot start instance "${name}": it ran, and nobody saw how it ended`,
        {
          hint: "look at its log",
        },
      );
    const does = taskBehaviours.get(task.command.join(" ")) ?? taskBehaviours.get(task.process) ?? brief;
    const { failure, exitMs, code: exitCode } = does;
    await start(set, task.process, task.ordinal, signal, { ...wellBehaved, failure, exitMs, exitCode }, task);
    lastWords.set(name, does.output);
    ran.push({ instance: name, task });
  }

  async function remove(name: InstanceName, graceMs: number, signal: AbortSignal, lives: () => boolean): Promise<void> {
    const running = instances.get(name);
    if (running === undefined) return;
    if (running.seen.phase === "running" && graceMs > 0) {
      if (running.behaviour.endsOnTerm) exit(name, 143);
      else
        await Promise.race([
          pass(graceMs),
          new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true })),
        ]);
    }
    if (!lives()) return;
    exit(name, 137);
    if (instances.get(name) === running) forget(name, running);
  }

  function forget(name: InstanceName, { seen }: Running): void {
    instances.delete(name);
    if (seen.address !== null) byAddress.delete(seen.address);
  }

  function expectedOf({ set, seen, volumes }: Running): ExpectedObservation {
    const { content } = set;
    const { command } = processSettings(content.settings, seen.process);
    return {
      name: seen.name,
      artifact: content.artifact,
      arguments: command ?? ["/app"],
      environment: [`PORT=${content.settings.port}`, `BRONZE_INSTANCE=${seen.name}`],
      mounts: [
        "/ overlay ro",
        "/tmp tmpfs rw",
        ...content.settings.tmpfs.map((path) => `${path} tmpfs rw`),
        ...volumes.map(({ mount }) => `${mount.path} bind rw`),
      ].sort(),
    };
  }

  function inspect(name: InstanceName): Awaited<ReturnType<Runtime["inspect"]>> {
    const running = instances.get(name);
    if (running?.seen.phase !== "running" || running.seen.pid === null) return null;
    const expected = (running.expected ??= expectedOf(running));
    return { expected, observed: { ...expected, imageIntact: true, entered: [], ...running.changed } };
  }

  /** As a real instance could not be started without its values. */
  async function readSecrets(secrets: Secrets | undefined, { app, environment, content }: InstanceSet): Promise<void> {
    for (const [name, version] of Object.entries(content.secrets))
      await secrets?.read({ app, environment, name: name as SecretName, version });
  }

  const runtime = (secrets?: Secrets, lives: () => boolean = () => true): Runtime => {
    const own = new Set<(name: InstanceName, exit: Exit) => void>();
    const ownOrphan = new Set<(name: InstanceName) => void>();
    return {
      prepare: async (artifact, signal) => prepare(artifact, signal),
      ensure(set, wanted, signal) {
        const work = (perSet.get(set.name) ?? Promise.resolve())
          .catch(() => {})
          .then(() => readSecrets(secrets, set))
          .then(() => (lives() ? ensure(set, wanted, signal) : undefined));
        perSet.set(set.name, work);
        return work;
      },
      startTask,
      observe: async () => [...instances.values()].map(({ seen }) => seen).sort((a, b) => (a.name < b.name ? -1 : 1)),
      remove: async (names, graceMs, signal) =>
        void (await Promise.all(names.map((name) => remove(name, graceMs, signal, lives)))),
      async confine(app, environment, limits, signal) {
        signal.throwIfAborted();
        if (limits === null) limited.delete(`${app} ${environment}`);
        else limited.set(`${app} ${environment}`, limits);
      },
      async tellNames(environment, apps, signal) {
        signal.throwIfAborted();
        told.set(environment, apps);
      },
      async checkVolumes({ settings }) {
        for (const { mount } of allVolumesOf(settings, { app: "" as AppName, environment: "" as EnvironmentName })) {
          if (!hidden.some((path) => path === mount.path || path.startsWith(`${mount.path}/`))) continue;
          throw new OperatorError("VOLUME_UNFIT", `Cannot attach a volume: ${mount.path} holds files of the image`, {
            hint: "choose another path",
          });
        }
      },
      unkept: async (name) => instances.get(name)?.unkept ?? [],
      facts: async (name) => ({
        exit: instances.get(name)?.seen.exit ?? null,
        listening: [],
        logTail: lastWords.get(name) ?? [],
        ...instances.get(name)?.facts,
      }),
      inspect: async (name) => inspect(name),
      async release(keep) {
        const used = new Set([...keep, ...[...instances.values()].map(({ set }) => set.content.artifact)]);
        for (const artifact of prepared) if (!used.has(artifact)) prepared.delete(artifact);
      },
      onExit(listener) {
        own.add(listener);
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      onOrphan(listener) {
        ownOrphan.add(listener);
        orphanListeners.add(listener);
        return () => orphanListeners.delete(listener);
      },
      async close() {
        const running = [...instances.values()].filter(({ seen }) => seen.phase === "running").length;
        if (running > 0)
          throw new OperatorError("RUNTIME_FAILED", `Cannot close the runtime: ${running} instances still run`, {
            hint: "remove them first",
          });
        instances.clear();
        byAddress.clear();
        prepared.clear();
        for (const listener of own) listeners.delete(listener);
        for (const listener of ownOrphan) orphanListeners.delete(listener);
      },
    };
  };

  return {
    runtime,
    prepared,
    limited,
    resolve: (name, app) =>
      told.get(splitInstanceName(name)?.environment ?? ("" as EnvironmentName))?.find((one) => one.app === app)
        ?.addresses ?? [],
    exit,
    prober: {
      probe({ address, port, path }, timeoutMs) {
        const found = byAddress.get(address);
        if (found?.seen.phase === "running" && (port !== found.seen.port || clock.monotonic() < found.readyAtMs))
          return refusal;
        if (found?.seen.phase !== "running" || found.status === null)
          return pass(timeoutMs).then(() => ({ kind: "timeout", latencyMs: timeoutMs }));
        return path === null ? acceptance : answerOf(found.status);
      },
    },
    behave: (behaviour, content, process) =>
      void behaviours.set(keyOf(content, process), { ...wellBehaved, ...behaviour }),
    behaveTask: (commandOrProcess, behaviour) => void taskBehaviours.set(commandOrProcess, { ...brief, ...behaviour }),
    ran,
    cutPower() {
      instances.clear();
      byAddress.clear();
    },
    interrupt() {
      for (const running of instances.values())
        if (running.seen.phase === "running" && running.seen.address === null)
          running.seen = { ...running.seen, phase: "broken" };
    },
    started: () => counter,
    instances: () => instances.values(),
    instance: (name) => instances.get(name),
    orphan(name) {
      change(name, (running) => (running.seen = { ...running.seen, orphaned: true }));
      for (const listener of orphanListeners) listener(name);
    },
    answer: (name, status) => change(name, (running) => (running.status = status)),
    change: (name, observation) =>
      change(name, (running) => (running.changed = { ...running.changed, ...observation })),
    scribble: (name, places) => change(name, (running) => (running.unkept = places)),
    hide: (path) => void hidden.push(path),
    refused,
    trespassers,
    know: (name, facts) => change(name, (running) => (running.facts = { ...running.facts, ...facts })),
  };

  function change(name: InstanceName, apply: (running: Running) => void): void {
    const running = instances.get(name);
    if (running === undefined) throw new Error(`no instance ${name}`);
    apply(running);
  }
}
