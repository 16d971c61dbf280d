import {
  parseConfig,
  parseManifest,
  type ContainerConfig,
  type HistoryEntry,
  type ImageConfig,
  type Manifest,
} from "../image/oci.ts";
import { healthFacts } from "./dockerfile/health.ts";
import type { Digest } from "../model/canonical.ts";
import type { Descriptor, Store } from "../ports/store.ts";
import type { ImageFacts } from "./options.ts";

/** An image on its way to be one: what has been decided so far. */
export interface ImageState {
  readonly architecture: string;
  readonly variant?: string;
  readonly author?: string;
  readonly config: ContainerConfig;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
  /** What of it was there before this build; null: nothing. */
  readonly base: ImageBase | null;
}

/** How much of an image is its base's: so many layers and instructions, and these settings. */
export interface ImageBase {
  readonly layers: number;
  readonly history: number;
  readonly config: ContainerConfig;
}

export function emptyImage(architecture: string): ImageState {
  return { architecture, config: {}, layers: [], diffIds: [], history: [], base: null };
}

/** Names architectures as OCI images do. */
export function machineArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

export async function readImage(store: Store, digest: Digest): Promise<{ manifest: Manifest; image: ImageConfig }> {
  const manifest = parseManifest(await store.read(digest));
  return { manifest, image: parseConfig(await store.read(manifest.config.digest)) };
}

export function factsOf(config: ContainerConfig): ImageFacts {
  const ports = Object.keys(config.ExposedPorts ?? {}).flatMap((port) => {
    const [number, protocol] = port.split("/");
    return protocol === undefined || protocol === "tcp" ? Number(number) : [];
  });
  return {
    exposedPorts: ports.filter((port) => Number.isInteger(port) && port > 0 && port < 65_536).sort((a, b) => a - b),
    user: config.User ?? "",
    cmd: config.Cmd ?? [],
    entrypoint: config.Entrypoint ?? [],
    env: config.Env ?? [],
    workdir: config.WorkingDir ?? "/",
    health: config.Healthcheck === undefined ? null : healthFacts(config.Healthcheck),
    volumes: Object.keys(config.Volumes ?? {}).sort(),
  };
}

/** The entry of an `Env` list set to a value, in its old place or at the end. */
export function withEnv(env: readonly string[] | undefined, name: string, value: string): readonly string[] {
  const entry = `${name}=${value}`;
  const list = env ?? [];
  return list.some((old) => old.startsWith(`${name}=`))
    ? list.map((old) => (old.startsWith(`${name}=`) ? entry : old))
    : [...list, entry];
}

export const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
