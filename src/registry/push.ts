import { isDigest, type Digest } from "../model/canonical.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { mediaTypes } from "../image/media-types.ts";
import { parseManifest, parseObject } from "../image/oci.ts";
import { fullName, type ImageReference } from "../image/reference.ts";
import type { PushOptions } from "../ports/registry.ts";
import type { Blobs } from "../ports/store.ts";
import { dropBody } from "./http.ts";
import { pushBlob } from "./push-blob.ts";
import { pushReferrers } from "./referrers.ts";
import { registryLies } from "./refusals.ts";
import type { Session } from "./session.ts";
import { inParallel } from "./transfers.ts";

/** @param session may write to the repository */
export async function pushImage(
  session: Session,
  digest: Digest,
  reference: ImageReference,
  blobs: Blobs,
  options: PushOptions,
): Promise<void> {
  const bytes = await blobs.read(digest);
  const { mediaType, manifests } = parseObject(bytes, "manifest");
  if (Array.isArray(manifests))
    throw new OperatorError("ARGUMENT_INVALID", `Cannot push ${digest}: it is an index of several images`, {
      hint: "name the image of one platform",
    });
  const manifest = parseManifest(bytes);
  const unique = new Map([...manifest.layers, manifest.config].map((blob) => [blob.digest, blob]));
  await inParallel([...unique.values()], options.signal, (blob, either) =>
    pushBlob(session.until(either), blob, reference.repository, blobs, { ...options, signal: either }),
  );
  const sayAll = (): Promise<void> =>
    pushReferrers(session, digest, options.referrers ?? [], reference.repository, blobs, options);
  // The tag comes last: whoever sees it can have the image, and all that is said about it.
  for (const name of [digest, ...(reference.tag === null ? [] : [reference.tag])]) {
    if (name !== digest) await sayAll();
    const answer = await session.insist({
      method: "PUT",
      to: `/v2/${reference.repository}/manifests/${name}`,
      headers: {
        "content-type": typeof mediaType === "string" ? mediaType : mediaTypes.manifest,
        "content-length": String(bytes.byteLength),
      },
      body: () => bytes,
      expected: [200, 201, 202],
      action: `push ${fullName(reference)}`,
    });
    dropBody(answer);
    const told = answer.headers["docker-content-digest"];
    if (typeof told === "string" && isDigest(told) && told !== digest)
      throw registryLies(session.host, digest, `it took it as ${told}`);
  }
  if (reference.tag === null) await sayAll();
}
