import type {
  AppAddresses,
  Exit,
  ExpectedObservation,
  InstanceFacts,
  InstanceObservation,
} from "../model/observation.ts";
import type { Content, EnvironmentLimits } from "../model/content.ts";
import type { UnkeptPlace } from "../model/api/status.ts";
import type { Digest } from "../model/canonical.ts";
import type { AppName, EnvironmentName, InstanceName, ProcessName, SetName } from "../model/names.ts";

export type { Exit, ExpectedObservation, InstanceFacts, InstanceObservation } from "../model/observation.ts";

/** All instances that one release created: they run one content. */
export interface InstanceSet {
  readonly name: SetName;
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** Number of the release that created the set. */
  readonly release: number;
  readonly digest: Digest;
  readonly content: Content;
}

/** Which instances of a set are to run. */
export interface InstancesWanted {
  readonly process: ProcessName;
  readonly count: number;
  /** Not counted: they are to end. */
  readonly ending?: readonly InstanceName[];
  /** What new ones get, in this order, and nothing else: these were recorded before. Counted for each process by itself. */
  readonly ordinals: readonly number[];
}

/** A one-off instance: it runs one command to its end, is never replaced, and takes no requests. */
export interface Task {
  /** One of the tasks' processes. */
  readonly process: ProcessName;
  readonly ordinal: number;
  readonly command: readonly string[];
  /** Variables besides those of every instance; they win. */
  readonly environment: { readonly [name: string]: string };
  /** `artifact`: it sees neither config nor secrets nor volumes. */
  readonly sees: "content" | "artifact";
  /** Whose resources it has: `web` or a worker. */
  readonly like: ProcessName;
}

/** One instance as the runtime sees it now. */
export interface ObservedInstance {
  readonly name: InstanceName;
  readonly set: SetName;
  readonly process: ProcessName;
  readonly ordinal: number;
  /** Content the instance was started from, as recorded when it was. */
  readonly digest: Digest;
  /** `broken`: half-made, or ended without anybody seeing how; it must be removed and replaced. */
  readonly phase: "running" | "exited" | "broken";
  /** IPv4 address in the instances' network; null where it has none (any more). */
  readonly address: string | null;
  readonly port: number;
  /** Process id of its first process on this machine; null unless running. */
  readonly pid: number | null;
  /** ms since the epoch. */
  readonly startedAtMs: number;
  readonly exit: Exit | null;
  /** Its supervisor ended before it: it serves on, but nobody will tell how it ends. It is to be replaced. */
  readonly orphaned: boolean;
}

/**
 * Runs contents. It never modifies an instance: instances are made and removed.
 * All methods are idempotent; after a crash of the caller the same call carries on.
 */
export interface Runtime {
  /**
   * Makes an artifact's root ready: verified, imaged, mounted; and the network of an environment that it is to run in.
   * Throws `VERIFICATION_FAILED` on bytes that lie.
   */
  prepare(artifact: Digest, signal: AbortSignal, environment?: EnvironmentName): Promise<void>;

  /**
   * Looks whether the volumes of a content lie right in its image; nothing is made of them.
   *
   * @throws {OperatorError} `VOLUME_UNFIT` when one would hide files of the image, naming the path
   */
  checkVolumes(content: Content, signal: AbortSignal): Promise<void>;

  /**
   * Brings one process of a set to at least `count` running instances. Running ones are left alone; missing ones are
   * started, as far as there are ordinals for them. Resolves when each new one has a process and an address, healthy or not.
   *
   * @throws {OperatorError} `RUNTIME_FAILED` when one could not be started (the others stay), with the cause in words; one that
   *   is removed meanwhile is none such; `VOLUME_ATTACHED` when a volume that only one may have is another's
   */
  ensure(set: InstanceSet, wanted: InstancesWanted, signal: AbortSignal): Promise<void>;

  /**
   * Starts a task; resolves when it has a process. It never runs twice: one that runs or has ended is left alone, one
   * that was only half made, and never ran, is made anew. How it ends is told like any instance's end.
   *
   * @throws {OperatorError} `RUNTIME_FAILED` when it could not be started, or ran and nobody saw how it ended
   */
  startTask(set: InstanceSet, task: Task, signal: AbortSignal): Promise<void>;

  /** Everything of ours that exists on the machine now, sorted by name; also what an earlier daemon started. */
  observe(): Promise<readonly ObservedInstance[]>;

  /** Ends instances: SIGTERM, `graceMs`, SIGKILL, all traces removed. Unknown names are fine. graceMs 0 kills at once. */
  remove(names: readonly InstanceName[], graceMs: number, signal: AbortSignal): Promise<void>;

  /**
   * From now on these names, and no others, stand for apps in every instance of an environment, those that are started
   * later too. How it is told changes no instance, so that none of it is drift.
   */
  tellNames(environment: EnvironmentName, apps: readonly AppAddresses[], signal: AbortSignal): Promise<void>;

  /**
   * From now on all instances of an app in an environment together have no more than this, those that run and those that
   * come later. Null: nothing of it is wanted any more, and what held it may go.
   *
   * @throws {OperatorError} `MACHINE_REFUSED` when the machine cannot, or more is in use now
   */
  confine(
    app: AppName,
    environment: EnvironmentName,
    limits: EnvironmentLimits | null,
    signal: AbortSignal,
  ): Promise<void>;

  /** Facts for a person about an instance that is in trouble; also for one that has just exited. */
  facts(name: InstanceName): Promise<InstanceFacts>;

  /** What an instance wrote to places that end with it, tmpfs; empty ones are left out. */
  unkept(name: InstanceName): Promise<readonly UnkeptPlace[]>;

  /** What runs in truth against what must; null when the instance is not running. */
  inspect(name: InstanceName): Promise<{ observed: InstanceObservation; expected: ExpectedObservation } | null>;

  /** Frees what `prepare` made for artifacts that are not in `keep` (mounts; image files stay). */
  release(keep: readonly Digest[]): Promise<void>;

  /** Calls back at each exit, as soon as it is known; returns the way to stop. */
  onExit(listener: (name: InstanceName, exit: Exit) => void): () => void;

  /** Calls back when an instance lost its supervisor, and when such a one ends: `observe` tells. Returns the way to stop. */
  onOrphan(listener: (name: InstanceName) => void): () => void;

  /** Removes everything that is left (network, cgroups, mounts): no instance may run any more. */
  close(): Promise<void>;
}
