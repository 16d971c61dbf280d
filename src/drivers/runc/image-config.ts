import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import { parseDigest } from "../../model/names.ts";
import type { Store } from "../../ports/store.ts";

export interface ImageLayer {
  readonly blob: Digest;
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
}

/** What running an image needs to know of its manifest and config. */
export interface ImageConfig {
  readonly layers: readonly ImageLayer[];
  readonly environment: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly workingDir: string;
  /** `user[:group]`, names or numbers; "" is root. */
  readonly user: string;
}

type Loose = { readonly [key: string]: unknown };
const isObject = (value: unknown): value is Loose =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Reads an image's manifest and config from the store. @throws {OperatorError} `VERIFICATION_FAILED`, `NOT_FOUND` */
export async function readImageConfig(store: Store, artifact: Digest): Promise<ImageConfig> {
  const manifest = await readJson(store, artifact, artifact);
  const descriptor = manifest["config"];
  const layers = manifest["layers"];
  if (!isObject(descriptor) || !Array.isArray(layers)) throw unfit(artifact, "its manifest names no config and layers");
  const config = await readJson(store, artifact, parseDigest(text(descriptor["digest"])));
  const rootfs = config["rootfs"];
  const diffIds = isObject(rootfs) ? texts(rootfs["diff_ids"]) : [];
  if (diffIds.length !== layers.length)
    throw unfit(artifact, `its config names ${diffIds.length} layers, its manifest ${layers.length}`);
  const run = isObject(config["config"]) ? config["config"] : {};
  return {
    layers: layers.map((layer, index) => ({
      blob: parseDigest(isObject(layer) ? text(layer["digest"]) : ""),
      diffId: parseDigest(diffIds[index] ?? ""),
    })),
    environment: texts(run["Env"]),
    entrypoint: texts(run["Entrypoint"]),
    command: texts(run["Cmd"]),
    workingDir: text(run["WorkingDir"]) || "/",
    user: text(run["User"]),
  };
}

async function readJson(store: Store, artifact: Digest, digest: Digest): Promise<Loose> {
  const bytes = await store.read(digest);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw unfit(artifact, `${digest} is not JSON`, cause);
  }
  if (!isObject(value)) throw unfit(artifact, `${digest} is not an object`);
  return value;
}

function unfit(artifact: Digest, finding: string, cause?: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot use artifact ${artifact}: ${finding}`, {
    hint: "build or import it again; an artifact is one OCI image manifest for one platform",
    cause,
  });
}
