import { constants } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mediaTypes } from "../../image/media-types.ts";
import { parseManifest, serialiseIndex } from "../../image/oci.ts";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";

/**
 * Writes an image as an OCI layout folder that skopeo and others read (`oci:DIR:NAME`).
 *
 * @throws {OperatorError} `NOT_FOUND`
 * @see OCI image specification, image-layout.md
 */
export async function exportImage(store: Store, digest: Digest, dir: string, name: string): Promise<void> {
  const blobs = join(dir, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const bytes = await store.read(digest);
  const manifest = parseManifest(bytes);
  for (const blob of [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]) {
    // Never a hard link: who writes into the layout must not reach the store.
    await copyFile(await store.path(blob), join(blobs, digestHex(blob)), constants.COPYFILE_FICLONE);
  }
  const entry = {
    mediaType: mediaTypes.manifest,
    digest,
    size: bytes.byteLength,
    annotations: { "org.opencontainers.image.ref.name": name },
  };
  await writeFile(join(dir, "index.json"), serialiseIndex([entry]));
  await writeFile(join(dir, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}
