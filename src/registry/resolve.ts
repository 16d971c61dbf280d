import { OperatorError } from "../errors/operator-error.ts";
import { isIndexType, mediaTypes } from "../image/media-types.ts";
import { parseConfig, parseIndex, parseManifest, parseObject } from "../image/oci.ts";
import { fullName, platformName, type ImageReference } from "../image/reference.ts";
import { isDigest, sha256, type Digest } from "../model/canonical.ts";
import type { ResolvedImage } from "../ports/registry.ts";
import type { Descriptor } from "../ports/store.ts";
import { registryLies } from "./refusals.ts";
import type { Session } from "./session.ts";

export const mostDocumentBytes = 4 * 2 ** 20;
const accepted = [mediaTypes.index, mediaTypes.manifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest].join(", ");

/** What a tag or digest names, and for which platforms. */
export async function resolveImage(session: Session, reference: ImageReference): Promise<ResolvedImage> {
  const bytes = await fetchManifest(session, reference, reference.digest ?? reference.tag ?? "latest");
  if (!Array.isArray(parseObject(bytes, "manifest")["manifests"]))
    return { index: null, platforms: { [await platformOf(session, reference, bytes)]: sha256(bytes) } };
  const images = parseIndex(bytes).filter(({ mediaType }) => !isIndexType(mediaType));
  const platforms: { [platform: string]: Digest } = {};
  for (const { platform, digest } of images) {
    // Attestations stand beside images as those of an unknown platform.
    if (platform === undefined || platform.os === "unknown") continue;
    const name = platformName(platform.os, platform.architecture, platform.variant);
    platforms[name] ??= digest;
  }
  const [only, second] = images;
  if (only !== undefined && second === undefined && only.platform === undefined) {
    const manifest = await fetchManifest(session, reference, only.digest);
    platforms[await platformOf(session, reference, manifest)] = only.digest;
  }
  return { index: { digest: sha256(bytes), bytes }, platforms };
}

/**
 * A manifest or index, its bytes those of the digest that was asked for or that the registry tells.
 *
 * @param what a tag or a digest
 */
export function fetchManifest(session: Session, reference: ImageReference, what: string): Promise<Buffer> {
  const name = fullName(reference);
  return session.retry(`fetch ${name}`, async () => {
    const answer = await session.ask({
      method: "GET",
      to: `/v2/${reference.repository}/manifests/${what}`,
      headers: { accept: accepted },
      expected: [200],
      action: `fetch ${name}`,
    });
    const bytes = await session.read(answer, mostDocumentBytes, `the manifest of ${name}`);
    const told = answer.headers["docker-content-digest"];
    const wanted = isDigest(what) ? what : typeof told === "string" && isDigest(told) ? told : undefined;
    const got = sha256(bytes);
    if (wanted !== undefined && got !== wanted)
      throw registryLies(session.host, `the manifest of ${name}`, `it is ${got} and not ${wanted}`);
    const { schemaVersion } = parseObject(bytes, "manifest");
    if (schemaVersion === 1)
      throw new OperatorError("VERIFICATION_FAILED", `Cannot take ${name}: its manifest is of Docker's schema 1`, {
        hint: "that form has no digests to verify; push the image again with a Docker of this decade",
      });
    return bytes;
  });
}

/** A small blob in memory, verified. */
export function fetchDocument(session: Session, reference: ImageReference, blob: Descriptor): Promise<Buffer> {
  const what = `the config ${blob.digest} of ${fullName(reference)}`;
  return session.retry(`fetch ${blob.digest}`, async () => {
    const answer = await session.ask({
      method: "GET",
      to: `/v2/${reference.repository}/blobs/${blob.digest}`,
      expected: [200],
      action: `fetch ${blob.digest}`,
    });
    const bytes = await session.read(answer, Math.min(blob.size, mostDocumentBytes), what);
    const got = sha256(bytes);
    if (got !== blob.digest) throw registryLies(session.host, what, `its bytes are ${got}`);
    return bytes;
  });
}

async function platformOf(session: Session, reference: ImageReference, manifest: Buffer): Promise<string> {
  const { config } = parseManifest(manifest);
  const { os, architecture, variant } = parseConfig(await fetchDocument(session, reference, config));
  return platformName(os, architecture, variant);
}
