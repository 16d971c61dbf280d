import { createReadStream } from "node:fs";
import { parseManifest, type BlobDescriptor } from "../image/oci.ts";
import type { ImageReference } from "../image/reference.ts";
import type { Digest } from "../model/canonical.ts";
import type { PullOptions } from "../ports/registry.ts";
import type { Blobs } from "../ports/store.ts";
import { downloadBlob, leavePartial } from "./download.ts";
import { registryLies } from "./refusals.ts";
import { fetchDocument, fetchManifest } from "./resolve.ts";
import type { Session } from "./session.ts";
import { inParallel } from "./transfers.ts";

/** The pulling part of the port. */
export async function pullImage(
  session: Session,
  reference: ImageReference,
  digest: Digest,
  blobs: Blobs,
  options: PullOptions & { readonly folder: string },
): Promise<void> {
  const { signal, folder, progress = () => undefined } = options;
  const isThere = (await blobs.stat(digest)) !== undefined;
  const bytes = isThere ? await blobs.read(digest) : await fetchManifest(session, reference, digest);
  const manifest = parseManifest(bytes);
  const hasConfig = (await blobs.stat(manifest.config.digest)) !== undefined;
  const config = hasConfig
    ? await blobs.read(manifest.config.digest)
    : await fetchDocument(session, reference, manifest.config);
  options.checkImage(bytes, config);
  // One layer may be there several times, each time for another diff_id.
  const positions = new Map<Digest, { readonly layer: BlobDescriptor; readonly at: number[] }>();
  for (const [position, layer] of manifest.layers.entries()) {
    const known = positions.get(layer.digest);
    if (known === undefined) positions.set(layer.digest, { layer, at: [position] });
    else known.at.push(position);
  }
  for (const { layer } of positions.values())
    if ((await blobs.stat(layer.digest)) === undefined) progress({ digest: layer.digest, bytes: 0, of: layer.size });
  await inParallel([...positions.values()], signal, async ({ layer, at }, either) => {
    const size = await blobs.stat(layer.digest);
    if (size !== undefined && size !== layer.size)
      throw registryLies(session.host, layer.digest, `it has ${size} bytes, its manifest says ${layer.size}`);
    if (size !== undefined) {
      for (const position of at) await options.checkLayer(layer, position, await blobs.path(layer.digest));
      return;
    }
    const partial = await downloadBlob(session.until(either), layer, {
      folder,
      repository: reference.repository,
      signal: either,
      progress: (done) => progress({ digest: layer.digest, bytes: done, of: layer.size }),
    });
    try {
      for (const position of at) await options.checkLayer(layer, position, partial.path);
      await blobs.write(createReadStream(partial.path, { highWaterMark: 1 << 20, signal: either }), layer);
      await partial.remove();
    } catch (error) {
      await leavePartial(partial, error);
      throw error;
    }
  });
  await blobs.write(config, manifest.config);
  await blobs.write(bytes, { digest });
}
