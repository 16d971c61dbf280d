import { OperatorError } from "../errors/operator-error.ts";
import { canonicalJson, isDigest, sha256, type Digest, type Json } from "../model/canonical.ts";
import { mediaTypes } from "./media-types.ts";

/** What a manifest says about a blob; structurally the store's descriptor. */
export interface BlobDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: { readonly [key: string]: string };
  /** In an index: what kind of thing it is, where it is no image. */
  readonly artifactType?: string;
  readonly platform?: { readonly architecture: string; readonly os: string; readonly variant?: string };
}

export interface Manifest {
  readonly config: BlobDescriptor;
  readonly layers: readonly BlobDescriptor[];
  readonly annotations: { readonly [key: string]: string };
}

/** The `config` member of an image config. */
export interface ContainerConfig {
  readonly User?: string;
  readonly ExposedPorts?: { readonly [port: string]: Record<string, never> };
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: { readonly [name: string]: string };
  readonly StopSignal?: string;
  readonly Volumes?: { readonly [path: string]: Record<string, never> };
  /** Docker's own fields; OCI leaves room for them. */
  readonly Healthcheck?: HealthcheckConfig;
  readonly OnBuild?: readonly string[];
  readonly Shell?: readonly string[];
}

/** Docker's health check of a container. Times in nanoseconds. @see Docker image specification v1.2 */
export interface HealthcheckConfig {
  /** `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", LINE]`. */
  readonly Test: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly empty_layer?: boolean;
}

/** An image config as far as it is built here. @see OCI image specification, config.md */
export interface ImageConfig {
  readonly architecture: string;
  /** `v7` of `linux/arm/v7`. */
  readonly variant?: string;
  readonly os: string;
  readonly author?: string;
  readonly created?: string;
  readonly config: ContainerConfig;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

/** The instruction that made each layer, as the history tells it. */
export function layerInstructions(history: readonly HistoryEntry[]): readonly string[] {
  return history.filter((entry) => entry.empty_layer !== true).map((entry) => entry.created_by ?? "");
}

const maxLayers = 256;

/** The one serialiser of manifests: canonical JSON, so that equal manifests have one digest. */
export function serialiseManifest(manifest: Manifest): Buffer {
  return Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: manifest.config as unknown as Json,
      layers: manifest.layers as unknown as Json,
      annotations: Object.keys(manifest.annotations).length === 0 ? undefined : manifest.annotations,
    }),
  );
}

/** The one serialiser of image configs. */
export function serialiseConfig(image: ImageConfig): Buffer {
  return Buffer.from(
    canonicalJson({
      architecture: image.architecture,
      variant: image.variant,
      os: image.os,
      author: image.author,
      created: image.created,
      config: image.config as unknown as Json,
      rootfs: { type: "layers", diff_ids: image.diffIds },
      history: image.history as unknown as Json,
    }),
  );
}

/** An index with these manifests, as `index.json` of a layout. */
export function serialiseIndex(manifests: readonly BlobDescriptor[]): Buffer {
  return Buffer.from(
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests as unknown as Json }),
  );
}

/** A descriptor for bytes that are at hand. */
export function describe(mediaType: string, bytes: Uint8Array): BlobDescriptor {
  return { mediaType, digest: sha256(bytes), size: bytes.byteLength };
}

/**
 * Reads an image manifest, OCI or Docker's.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` when it is not one, or has more than 256 layers
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  const record = parseObject(bytes, "manifest");
  const layers = record["layers"];
  if (record["schemaVersion"] !== 2 || !Array.isArray(layers))
    throw malformed("manifest", "no schemaVersion 2 with layers");
  if (layers.length > maxLayers) throw malformed("manifest", `${layers.length} layers, at most ${maxLayers} taken`);
  return {
    config: parseDescriptor(record["config"], "config"),
    layers: layers.map((layer) => parseDescriptor(layer, "layer")),
    annotations: stringMap(record["annotations"]),
  };
}

/** The manifests an index names. @throws {OperatorError} `VERIFICATION_FAILED` */
export function parseIndex(bytes: Uint8Array): readonly BlobDescriptor[] {
  const manifests = parseObject(bytes, "index")["manifests"];
  if (!Array.isArray(manifests) || manifests.length > 1000)
    throw malformed("index", "no list of at most 1000 manifests");
  return manifests.map((entry) => {
    const artifactType = text(asObject(entry)?.["artifactType"]);
    return { ...parseDescriptor(entry, "manifest"), ...(artifactType === undefined ? {} : { artifactType }) };
  });
}

/** Reads an image config. @throws {OperatorError} `VERIFICATION_FAILED` */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  const record = parseObject(bytes, "config");
  const rootfs = asObject(record["rootfs"]);
  const diffIds = rootfs?.["diff_ids"];
  if (!Array.isArray(diffIds) || !diffIds.every((id) => typeof id === "string" && isDigest(id)))
    throw malformed("config", "rootfs.diff_ids is no list of sha256 digests");
  const inner = asObject(record["config"]) ?? {};
  const created = record["created"];
  const variant = text(record["variant"]);
  const author = text(record["author"]);
  return {
    architecture: text(record["architecture"]) ?? "",
    ...(variant === undefined || variant === "" ? {} : { variant }),
    os: text(record["os"]) ?? "",
    ...(author === undefined || author === "" ? {} : { author }),
    ...(typeof created === "string" ? { created } : {}),
    config: parseContainerConfig(inner),
    diffIds: diffIds,
    history: Array.isArray(record["history"]) ? record["history"].map(parseHistory) : [],
  };
}

function parseHistory(value: unknown): HistoryEntry {
  const record = asObject(value) ?? {};
  const entry: { -readonly [K in keyof HistoryEntry]: HistoryEntry[K] } = {};
  for (const key of ["created", "created_by", "comment", "author"] as const) {
    const value = text(record[key]);
    if (value !== undefined) entry[key] = value;
  }
  if (record["empty_layer"] === true) entry.empty_layer = true;
  return entry;
}

function parseContainerConfig(inner: Record<string, unknown>): ContainerConfig {
  const ports = asObject(inner["ExposedPorts"]);
  const labels = asObject(inner["Labels"]);
  const config: { -readonly [K in keyof ContainerConfig]: ContainerConfig[K] } = {};
  for (const key of ["User", "WorkingDir", "StopSignal"] as const) {
    const value = text(inner[key]);
    if (value !== undefined && value !== "") config[key] = value;
  }
  for (const key of ["Env", "Entrypoint", "Cmd", "OnBuild", "Shell"] as const) {
    const value = inner[key];
    if (value === undefined || value === null) continue;
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
      throw malformed("config", `config.${key} is no list of texts`);
    if (value.some((item) => item.includes("\0"))) throw malformed("config", `config.${key} holds a NUL byte`);
    config[key] = value;
  }
  if (ports !== undefined) config.ExposedPorts = Object.fromEntries(Object.keys(ports).map((port) => [port, {}]));
  if (labels !== undefined) config.Labels = stringMap(labels);
  const volumes = asObject(inner["Volumes"]);
  if (volumes !== undefined) config.Volumes = Object.fromEntries(Object.keys(volumes).map((path) => [path, {}]));
  const healthcheck = parseHealthcheck(asObject(inner["Healthcheck"]));
  if (healthcheck !== undefined) config.Healthcheck = healthcheck;
  return config;
}

function parseHealthcheck(record: Record<string, unknown> | undefined): HealthcheckConfig | undefined {
  const test = record?.["Test"];
  if (record === undefined || !Array.isArray(test) || !test.every((item) => typeof item === "string")) return undefined;
  const check: { -readonly [K in keyof HealthcheckConfig]: HealthcheckConfig[K] } = { Test: test };
  for (const key of ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] as const) {
    const value = record[key];
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) check[key] = value;
  }
  return check;
}

function parseDescriptor(value: unknown, noun: string): BlobDescriptor {
  const record = asObject(value);
  const digest = record?.["digest"];
  const size = record?.["size"];
  const mediaType = record?.["mediaType"];
  if (record === undefined || typeof digest !== "string" || !isDigest(digest))
    throw malformed(noun, "its descriptor has no sha256 digest");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw malformed(noun, "its descriptor has no size");
  if (typeof mediaType !== "string") throw malformed(noun, "its descriptor has no media type");
  const platform = asObject(record["platform"]);
  const variant = text(platform?.["variant"]);
  const annotations = record["annotations"];
  return {
    mediaType,
    digest,
    size,
    ...(annotations === undefined || annotations === null ? {} : { annotations: stringMap(annotations) }),
    ...(platform === undefined
      ? {}
      : {
          platform: {
            architecture: text(platform["architecture"]) ?? "",
            os: text(platform["os"]) ?? "",
            ...(variant === undefined || variant === "" ? {} : { variant }),
          },
        }),
  };
}

/** Parses bytes as one JSON object. @throws {OperatorError} `VERIFICATION_FAILED` */
export function parseObject(bytes: Uint8Array, noun: string): Record<string, unknown> {
  const record = asObject(parseJson(bytes, noun));
  if (record === undefined) throw malformed(noun, "it is no JSON object");
  return record;
}

/** Parses bytes as JSON. @throws {OperatorError} `VERIFICATION_FAILED` */
export function parseJson(bytes: Uint8Array, noun: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"), wellFormed);
  } catch (cause) {
    throw malformed(noun, "it is no JSON", cause);
  }
}

/** Half a surrogate pair has no canonical form; nothing made of it could be written again. */
function wellFormed(key: string, value: unknown): unknown {
  if (!key.isWellFormed() || (typeof value === "string" && !value.isWellFormed()))
    throw new SyntaxError("it holds half a character");
  return value;
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function stringMap(value: unknown): { readonly [key: string]: string } {
  return Object.fromEntries(
    Object.entries(asObject(value) ?? {}).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function malformed(noun: string, state: string, cause?: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot read the image's ${noun}: ${state}`, {
    hint: "the image is damaged or of a kind that is not supported; get it again from where it came from",
    ...(cause === undefined ? {} : { cause }),
  });
}
