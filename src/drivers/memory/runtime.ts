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
import type { Prober, ProbeResult, ProbeTarget } from "../../ports/prober.ts";
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

/** An answer, and the promise of it: an instance is asked again and again, and says mostly the same. */
interface Answer {
  readonly result: ProbeResult;
  readonly promise: Promise<ProbeResult>;
}

/** What every instance has. */
const plainMounts: readonly string[] = ["/ overlay ro", "/tmp tmpfs rw"];
/** What runs where a content names nothing. */
const plainCommand: readonly string[] = ["/app"];

const settled = Promise.resolve();
const answerWith = (result: ProbeResult): Answer => ({ result, promise: Promise.resolve(result) });
const refusal = answerWith({ kind: "refused", latencyMs: 0 });
const acceptance = answerWith({ kind: "accepted", latencyMs: 1 });
/** By status. */
const answers = new Map<number, Answer>();

function answerOf(status: number): Answer {
  const known = answers.get(status);
  if (known !== undefined) return known;
  const made = answerWith({ kind: "answered", status, latencyMs: 1, body: "" });
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
  readonly number: number;
  readonly set: InstanceSet;
  seen: ObservedInstance;
  readonly behaviour: Behaviour;
  readonly readyAtMs: number;
  status: number | null;
  /** What its content makes it; worked out when it is first asked for. */
  expected: ExpectedObservation | null;
  changed: Partial<InstanceObservation>;
  /** What is seen of it so; worked out as well. */
  observed: InstanceObservation | null;
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
  /** Answers as the instances would. @param told what each answer is, as soon as it is given */
  prober(told?: (target: ProbeTarget, result: ProbeResult) => void): Prober;
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

  const passUnlessAborted = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = clock.after(ms, end);
      signal.addEventListener("abort", end);
    });

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

  const makeVolumes = async (volumes: readonly AttachedVolume[]): Promise<void> => {
    for (const { id } of volumes) await volumeStore.ensure(id, { uid: 0, gid: 0, mode: 0o755 });
  };

  /** Makes an instance that has no process yet: it has one when its `startMs` are over, by `comeUp`. */
  function make(
    set: InstanceSet,
    process: ProcessName,
    ordinal: number,
    { behaviour, volumes }: Pick<Running, "behaviour" | "volumes">,
  ): Running {
    const name = instanceName(set.name, ordinal, process);
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
      number,
      set,
      seen,
      behaviour,
      readyAtMs: clock.monotonic() + behaviour.startMs + (behaviour.readyMs ?? Infinity),
      status: behaviour.status,
      expected: null,
      changed: {},
      observed: null,
      facts: {},
      volumes,
      unkept: [],
    };
    instances.set(name, running);
    return running;
  }

  function comeUp(running: Running, signal: AbortSignal): void {
    const { behaviour, number } = running;
    const { name } = running.seen;
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
    const taken = new Set<number>();
    let missing = count;
    for (const { seen } of instances.values()) {
      if (seen.set !== set.name || seen.process !== process) continue;
      taken.add(seen.ordinal);
      if (seen.phase === "running" && !ending.includes(seen.name)) missing -= 1;
    }
    const ordinals = wanted.ordinals.filter((ordinal) => !taken.has(ordinal)).slice(0, Math.max(0, missing));
    if (ordinals.length === 0) return;
    const failures: unknown[] = [];
    /** By the time that they take. */
    const starting = new Map<number, Running[]>();
    for (const ordinal of ordinals) {
      const behaviour = options.behaves?.(set, process, ordinal) ?? behaviourOf(set.digest, process);
      const volumes = volumesOfInstance(set.content.settings, process, set);
      try {
        if (volumes.length > 0) await makeVolumes(volumes);
        const running = make(set, process, ordinal, { behaviour, volumes });
        const together = starting.get(behaviour.startMs);
        if (together === undefined) starting.set(behaviour.startMs, [running]);
        else together.push(running);
      } catch (error) {
        failures.push(error);
      }
    }
    const startTogether = async (startMs: number, some: readonly Running[]): Promise<void> => {
      await pass(startMs);
      for (const running of some) {
        try {
          comeUp(running, signal);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all([...starting].map(([startMs, some]) => startTogether(startMs, some)));
    if (failures.length > 0) throw failures[0];
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
    const behaviour = { ...wellBehaved, failure, exitMs, exitCode };
    const volumes = volumesOfInstance(set.content.settings, task.process, set, task);
    await makeVolumes(volumes);
    const running = make(set, task.process, task.ordinal, { behaviour, volumes });
    await pass(behaviour.startMs);
    comeUp(running, signal);
    lastWords.set(name, does.output);
    ran.push({ instance: name, task });
  }

  /** @returns when it has ended; undefined: it has at once */
  function remove(
    name: InstanceName,
    graceMs: number,
    signal: AbortSignal,
    lives: () => boolean,
  ): Promise<void> | undefined {
    const running = instances.get(name);
    if (running === undefined) return undefined;
    const end = (): undefined => {
      if (!lives()) return;
      exit(name, 137);
      if (instances.get(name) === running) forget(name, running);
    };
    if (running.seen.phase === "running" && graceMs > 0) {
      if (!running.behaviour.endsOnTerm) return passUnlessAborted(graceMs, signal).then(end);
      exit(name, 143);
    }
    return end();
  }

  function forget(name: InstanceName, { seen }: Running): void {
    instances.delete(name);
    if (seen.address !== null) byAddress.delete(seen.address);
  }

  function expectedOf({ set, seen, volumes }: Running): ExpectedObservation {
    const { content } = set;
    const { command } = processSettings(content.settings, seen.process);
    const more = [
      ...content.settings.tmpfs.map((path) => `${path} tmpfs rw`),
      ...volumes.map(({ mount }) => `${mount.path} bind rw`),
    ];
    return {
      name: seen.name,
      artifact: content.artifact,
      arguments: command ?? plainCommand,
      environment: [`PORT=${content.settings.port}`, `BRONZE_INSTANCE=${seen.name}`],
      mounts: more.length === 0 ? plainMounts : [...plainMounts, ...more].sort(),
    };
  }

  function inspect(name: InstanceName): Awaited<ReturnType<Runtime["inspect"]>> {
    const running = instances.get(name);
    if (running?.seen.phase !== "running" || running.seen.pid === null) return null;
    const expected = (running.expected ??= expectedOf(running));
    running.observed ??= { ...expected, imageIntact: true, entered: [], ...running.changed };
    return { expected, observed: running.observed };
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
        const begin = async (): Promise<void> => {
          await readSecrets(secrets, set);
          if (lives()) await ensure(set, wanted, signal);
        };
        const work = (perSet.get(set.name) ?? settled).then(begin, begin);
        perSet.set(set.name, work);
        return work;
      },
      startTask,
      async observe() {
        const all: ObservedInstance[] = [];
        for (const { seen } of instances.values()) all.push(seen);
        return all.sort((a, b) => (a.name < b.name ? -1 : 1));
      },
      async remove(names, graceMs, signal) {
        const ends: Promise<void>[] = [];
        for (const name of names) {
          const ended = remove(name, graceMs, signal, lives);
          if (ended !== undefined) ends.push(ended);
        }
        if (ends.length > 0) await Promise.all(ends);
      },
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
        const used = new Set(keep);
        for (const { set } of instances.values()) used.add(set.content.artifact);
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

  /** What is answered at once; undefined: nothing ever is. */
  function answerNow({ address, port, path }: ProbeTarget): Answer | undefined {
    const found = byAddress.get(address);
    if (found?.seen.phase !== "running") return undefined;
    if (port !== found.seen.port || clock.monotonic() < found.readyAtMs) return refusal;
    if (found.status === null) return undefined;
    return path === null ? acceptance : answerOf(found.status);
  }

  return {
    runtime,
    prepared,
    limited,
    resolve: (name, app) =>
      told.get(splitInstanceName(name)?.environment ?? ("" as EnvironmentName))?.find((one) => one.app === app)
        ?.addresses ?? [],
    exit,
    prober: (told = () => {}) => ({
      probe(target, timeoutMs) {
        const answer = answerNow(target);
        if (answer === undefined)
          return pass(timeoutMs).then(() => {
            const result: ProbeResult = { kind: "timeout", latencyMs: timeoutMs };
            told(target, result);
            return result;
          });
        told(target, answer.result);
        return answer.promise;
      },
    }),
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
      change(name, (running) => {
        running.changed = { ...running.changed, ...observation };
        running.observed = null;
      }),
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
