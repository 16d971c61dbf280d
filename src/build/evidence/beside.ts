import { emptyConfig } from "../../image/referrer.ts";
import { sha256, type Digest } from "../../model/canonical.ts";
import type { Descriptor, Stage, Store } from "../../ports/store.ts";
import type { BuildOptions } from "../options.ts";
import type { MadeStatement } from "./evidence.ts";
import { materialsManifest, type Material } from "./materials.ts";

/** What is to be kept beside an artifact: it is on its way to the disk from when it is known. */
export interface Beside {
  /** Blobs, staged: what names others comes after them. */
  readonly blobs: readonly Digest[];
  /** Manifests among them whose subject the artifact is. */
  readonly manifests: readonly Buffer[];
  /** Has a statement signed, where somebody signs. */
  say(statement: MadeStatement): Promise<void>;
  /** Keeps blobs that were staged. */
  keep(materials: readonly Material[]): Promise<void>;
}

/** @param artifact its manifest, which the store need not have yet */
export function createBeside(
  artifact: Descriptor,
  { store, stage, attest }: { readonly store: Store; readonly stage: Stage } & Pick<BuildOptions, "attest">,
): Beside {
  const blobs: Digest[] = [];
  const manifests: Buffer[] = [];
  const put = async (bytes: Buffer, digest = sha256(bytes)): Promise<void> => {
    blobs.push(digest);
    if ((await store.stat(digest)) !== undefined) return;
    await stage.write(bytes);
    stage.sync([digest]);
  };
  const putManifest = async (manifest: Buffer): Promise<void> => {
    if (manifests.length === 0) await put(emptyConfig);
    manifests.push(manifest);
    await put(manifest);
  };
  return {
    blobs,
    manifests,
    async say(statement) {
      const signed = await attest?.(artifact, statement);
      if (signed === undefined) return;
      if (signed.bundle !== null) await put(signed.bundle.bytes, signed.bundle.digest);
      await putManifest(signed.manifest);
    },
    async keep(materials) {
      if (materials.length === 0) return;
      const digests = materials.map(({ descriptor }) => descriptor.digest);
      stage.sync(digests);
      blobs.push(...digests);
      await putManifest(materialsManifest(artifact, materials));
    },
  };
}
