import { canonicalJson, sha256, type Digest, type Json } from "./canonical.ts";
import type { Check } from "./tasks.ts";
import type { Config } from "./config.ts";
import type { AppName } from "./names.ts";
import { plainStrategy, readWrittenStrategy, type Strategy, type WrittenStrategy } from "./strategy.ts";

/** How the daemon asks an instance whether it is well. */
export interface HealthSettings {
  /** A path that must answer 2xx; null: the port accepts and `GET /` answers below 500. */
  readonly path: string | null;
  /** It is enough that the port accepts, for what does not speak HTTP; `path` is null then. */
  readonly tcp?: true;
  /** Longest time from start to first healthy, in ms. */
  readonly deadlineMs: number;
}

export interface ResourceSettings {
  /** Memory limit in bytes; null: none. */
  readonly memoryBytes: number | null;
  /** CPU limit in cores, 0.01 or more; null: none. */
  readonly cpu: number | null;
  /** Most processes and threads. */
  readonly pids: number;
}

/** Where a volume appears in an instance. */
export interface VolumeMount {
  /** Absolute path inside. */
  readonly path: string;
  /** `exclusive`: one instance has it at a time, so that a rollout stops the old one first. */
  readonly sharing: "exclusive" | "shared";
  /** Whether an immutable snapshot is taken before each release. */
  readonly snapshot: boolean;
  /** Whose volume it is; absent: the app's own. */
  readonly app?: AppName;
}

/** Volumes by name. */
export interface Volumes {
  readonly [name: string]: VolumeMount;
}

/** A process besides `web`: outside traffic, with the same image, config and secrets. */
export interface WorkerSettings {
  readonly command: readonly string[];
  readonly resources: ResourceSettings;
  /** Longest time from SIGTERM to SIGKILL when it is ended, in ms. */
  readonly drainMs: number;
  readonly volumes?: Volumes;
}

/** What runs once, in the exact artifact, before any new instance: migrations. */
export interface ReleaseTask {
  readonly run: readonly string[];
  /** Whether the content before can work with what it leaves behind: else nothing goes back by itself. */
  readonly reversible: boolean;
  /** Longest time it may take, in ms. */
  readonly deadlineMs: number;
}

/**
 * The part of a release that says how its instances run. Changing any of it makes new content. What a definition does
 * not use is absent, so that contents of earlier versions keep their digests.
 */
export interface RunSettings {
  /** Replaces the image's entrypoint and command; null: the image's own. */
  readonly command: readonly string[] | null;
  readonly port: number;
  readonly health: HealthSettings;
  /** Longest time in-flight requests may take when an instance is ended, in ms. */
  readonly drainMs: number;
  /** How long an instance must stay healthy before it counts, in ms. */
  readonly minReadyMs: number;
  readonly resources: ResourceSettings;
  /** Linux capabilities that are kept, `CAP_NET_BIND_SERVICE` style, sorted. */
  readonly capabilities: readonly string[];
  /** Absolute paths with a writable tmpfs besides /tmp, sorted. */
  readonly tmpfs: readonly string[];
  /** Volumes of `web`. */
  readonly volumes?: Volumes;
  /** Processes besides `web`, by name. */
  readonly processes?: { readonly [process: string]: WorkerSettings };
  readonly release?: ReleaseTask;
  /** Secrets that are also environment variables, sorted; all are files in /run/secrets. */
  readonly secretVariables?: readonly string[];
}

/** What a release puts live. Named by the sha256 of its canonical JSON, so equal contents are one content. */
export interface Content {
  readonly artifact: Digest;
  /** Environment variables. */
  readonly config: Config;
  /** Version of each secret that its instances see. */
  readonly secrets: { readonly [name: string]: number };
  readonly settings: RunSettings;
}

/** Contents never change, and are asked for their names again and again. */
const digests = new WeakMap<Content, Digest>();

/** The content's name: sha256 of its canonical JSON. */
export function contentDigest(content: Content): Digest {
  const known = digests.get(content);
  if (known !== undefined) return known;
  const digest = sha256(canonicalJson(content as unknown as Json));
  digests.set(content, digest);
  return digest;
}

/** What users get who say nothing. */
export const defaultRunSettings: RunSettings = {
  command: null,
  port: 8080,
  health: { path: null, deadlineMs: 30_000 },
  drainMs: 30_000,
  minReadyMs: 0,
  resources: { memoryBytes: null, cpu: null, pids: 256 },
  capabilities: [],
  tmpfs: [],
};

/** Where an environment's traffic comes in. */
export interface Route {
  /** Host name in lower case; null: any host. */
  readonly host: string | null;
  /** Path prefix, begins and ends with "/". */
  readonly path: string;
}

/** What all instances of an app in an environment have together; null: no limit. */
export interface EnvironmentLimits {
  readonly memoryBytes: number | null;
  /** In cores. */
  readonly cpu: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
}

export const noLimits: EnvironmentLimits = { memoryBytes: null, cpu: null, pids: null };

/** What belongs to the environment, changes without a release, and is left alone by a rollback. */
export interface EnvironmentSettings {
  /** Of `web`. */
  readonly instances: number;
  /** Of each other process; 1 where nothing is said. */
  readonly processes?: { readonly [process: string]: number };
  readonly strategy: Strategy;
  /** Longest time a rollout may take, in ms. */
  readonly deadlineMs: number;
  /** How long a replaced content's instances are kept warm, in ms. */
  readonly keepWarmMs: number;
  /** The promise how quickly a rollback is done, in ms; null: none made. */
  readonly withinMs: number | null;
  /** How long a release is watched after the switch, in ms. */
  readonly watchMs: number;
  /** Where its traffic comes in; null: it takes none, others of its environment reach it by name. */
  readonly route: Route | null;
  /** Apps of the same environment that must serve before instances of this one are started, sorted; absent: none. */
  readonly needs?: readonly AppName[];
  /** Absent: none. */
  readonly limits?: EnvironmentLimits;
  /** What is asked of a new content before it gets traffic, in order; absent: nothing. */
  readonly checks?: readonly Check[];
  /** What becomes of artifacts that are not verified; absent: `enforce` for what was built here, `warn` for all others. */
  readonly trust?: TrustMode;
  /** What becomes of a live artifact that is revoked; absent: `report`. */
  readonly revoked?: RevokedMode;
}

/** `enforce`: only what is verified is released. `warn`: the rest too, and it is told. `off`: nobody looks. */
export type TrustMode = (typeof trustModes)[number];
export const trustModes = ["enforce", "warn", "off"] as const;

/** Whether Bronze built an artifact on this machine, as the store has it, or it came from elsewhere, whatever it says of itself. */
export type ArtifactOrigin = "built" | "imported";

/** `replace`: it is taken back to the nearest earlier release that is not revoked. `report`: it serves on, and it is told. */
export type RevokedMode = (typeof revokedModes)[number];
export const revokedModes = ["replace", "report"] as const;

export const defaultEnvironmentSettings: EnvironmentSettings = {
  instances: 1,
  strategy: plainStrategy,
  deadlineMs: 600_000,
  keepWarmMs: 1_800_000,
  withinMs: null,
  watchMs: 60_000,
  route: { host: null, path: "/" },
};

/** Settings as ledgers and clients of any version write them. */
export type WrittenSettings = Omit<EnvironmentSettings, "strategy"> & { readonly strategy: WrittenStrategy };

export function readWrittenSettings({ strategy, ...rest }: WrittenSettings): EnvironmentSettings {
  return { ...rest, strategy: readWrittenStrategy(strategy) };
}

/** `host/path` as people write it; `*` stands for any host. `none`, which is no route's text, where there is none. */
export function formatRoute(route: Route | null): string {
  return route === null ? "none" : `${route.host ?? "*"}${route.path}`;
}
