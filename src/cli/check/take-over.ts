import { createReadStream } from "node:fs";
import { wholeReferrers } from "../../build/exchange/referrers.ts";
import { parseManifest } from "../../image/oci.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Signer } from "../../ports/signer.ts";
import type { Store } from "../../ports/store.ts";
import { attest, attestationsOf } from "../../store/attestations.ts";
import { bundleType, readBundle } from "../../trust/bundle.ts";
import { readStatement } from "../../trust/statement.ts";

/**
 * Takes an artifact from the store of a check's build into the real one: its blobs, what it was built from, and what is said
 * about it, which is signed anew: the key of a throw-away state is nobody's. Its name comes last.
 */
export async function takeOver(from: Store, to: Store, signer: Signer, digest: Digest, name: string): Promise<void> {
  const { config, layers } = parseManifest(await from.read(digest));
  await copyBlobs(from, to, [...layers.map((layer) => layer.digest), config.digest, digest]);
  const build = await from.buildOf(digest);
  if (build !== undefined) await to.recordBuild(digest, build.from);
  for (const { referrer, blobs } of await wholeReferrers(from, digest)) {
    if (referrer.artifactType === bundleType) continue;
    await copyBlobs(from, to, blobs);
    await to.attach(await from.read(referrer.digest));
  }
  for (const { bytes } of await attestationsOf(from, digest)) {
    const bundle = readBundle(bytes);
    const statement = typeof bundle === "string" ? bundle : readStatement(bundle.payload);
    // What a build of ours has just made and cannot be read is a fault of ours.
    if (typeof statement === "string") throw new Error(`a statement of the check's build is damaged: ${statement}`);
    await attest(to, signer, statement);
  }
  await to.tag(name, digest);
}

/** Those that are missing there. */
async function copyBlobs(from: Store, to: Store, blobs: readonly Digest[]): Promise<void> {
  for (const blob of blobs)
    if ((await to.stat(blob)) === undefined) await to.write(createReadStream(await from.path(blob)), { digest: blob });
}
