import { isIndexType } from "../../image/media-types.ts";
import { parseIndex, parseManifest, serialiseIndex, type BlobDescriptor } from "../../image/oci.ts";
import { mostReferrers, parseReferrer } from "../../image/referrer.ts";
import { digestHex, isDigest, type Digest } from "../../model/canonical.ts";
import type { Descriptor, Referrer, Stage, Store } from "../../ports/store.ts";
import { importRefused } from "./import-refused.ts";
import type { Layout } from "./layout.ts";

/**
 * Names, on an image's entry in index.json, the index of what refers to the image. Entries of their own, beside the image's, would
 * make an archive of one image one of several for those who read it.
 */
export const referrersAnnotation = "bronze.referrers";

/** What refers to an image and is whole: of what an interrupted or damaged store lacks a part, nothing is passed on. */
export async function wholeReferrers(
  store: Pick<Store, "stat" | "read" | "referrers">,
  subject: Digest,
): Promise<readonly { readonly referrer: Referrer; readonly blobs: readonly Digest[] }[]> {
  const whole = [];
  for (const referrer of await store.referrers(subject)) {
    const { config, layers } = parseManifest(await store.read(referrer.digest));
    const blobs = [config, ...layers].map(({ digest }) => digest);
    const sizes = await Promise.all(blobs.map((digest) => store.stat(digest)));
    if (!sizes.includes(undefined)) whole.push({ referrer, blobs });
  }
  return whole;
}

/** What the store has that refers to an image, as an archive carries it; undefined where there is nothing. */
export async function savedReferrers(
  store: Pick<Store, "stat" | "read" | "referrers">,
  subject: Digest,
): Promise<{ readonly index: Buffer; readonly blobs: readonly Digest[] } | undefined> {
  const whole = await wholeReferrers(store, subject);
  if (whole.length === 0) return undefined;
  const blobs = whole.flatMap(({ referrer, blobs }) => [...blobs, referrer.digest]);
  return { index: serialiseIndex(whole.map(({ referrer }) => referrer)), blobs };
}

/** Whether an entry of an index is about an image, and none itself. */
export function isReferrer(entry: BlobDescriptor): boolean {
  return entry.artifactType !== undefined || /^sha256-[0-9a-f]{64}$/.test(refName(entry) ?? "");
}

/** The archive has them all, and a build keeps what its steps got from the network: dependencies, more than a registry is to send unasked. */
const mostBytes = 16 * 2 ** 30;

/** What refers to an image, ready to be published: blobs first, then manifests to be attached. */
export interface FoundReferrers {
  readonly blobs: readonly Digest[];
  readonly manifests: readonly Buffer[];
}

/**
 * Brings what an OCI layout holds that refers to an image into the stage: what its index.json lists, and what the lists hold that
 * are named there, ours and those under the tag that stands for the subject.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` when something of it is missing or not what it should be, or there is too much of it
 */
export async function takeReferrers(
  path: string,
  subject: Digest,
  layout: Layout,
  stage: Stage,
): Promise<FoundReferrers> {
  const index = await layout.read("index.json");
  const found = index === undefined ? [] : await listedIn(parseIndex(index), subject, layout, stage);
  const blobs: Digest[] = [];
  const manifests: Buffer[] = [];
  let bytes = 0;
  for (const entry of new Map(found.map((one) => [one.digest, one])).values()) {
    await layout.take(entry);
    const manifest = await stage.read(entry.digest);
    if (!isAbout(manifest, subject)) continue;
    const { config, layers } = parseManifest(manifest);
    const parts: readonly Descriptor[] = [config, ...layers];
    bytes += parts.reduce((sum, { size }) => sum + size, 0);
    if (manifests.length === mostReferrers.count || bytes > mostBytes)
      throw importRefused(path, `more refers to ${subject} than is taken`);
    for (const part of parts) await layout.take(part);
    blobs.push(...parts.map(({ digest }) => digest));
    manifests.push(manifest);
  }
  return { blobs, manifests };
}

/** Other tools keep what has no subject at all beside images. */
function isAbout(manifest: Buffer, subject: Digest): boolean {
  try {
    return parseReferrer(manifest).subject === subject;
  } catch {
    return false;
  }
}

async function listedIn(
  entries: readonly BlobDescriptor[],
  subject: Digest,
  layout: Layout,
  stage: Stage,
): Promise<readonly BlobDescriptor[]> {
  const found = entries.filter(({ artifactType, mediaType }) => artifactType !== undefined && !isIndexType(mediaType));
  for (const entry of entries) {
    const named = entry.digest === subject ? entry.annotations?.[referrersAnnotation] : undefined;
    const list = named !== undefined && isDigest(named) ? named : isListOf(entry, subject) ? entry.digest : undefined;
    if (list === undefined) continue;
    const bytes = await layout.read(`blobs/sha256/${digestHex(list)}`);
    if (bytes === undefined) continue;
    await stage.write(bytes, { digest: list });
    found.push(...parseIndex(bytes));
  }
  return found;
}

function isListOf(entry: BlobDescriptor, subject: Digest): boolean {
  return isIndexType(entry.mediaType) && refName(entry) === `sha256-${digestHex(subject)}`;
}

function refName({ annotations }: BlobDescriptor): string | undefined {
  return annotations?.["org.opencontainers.image.ref.name"];
}
