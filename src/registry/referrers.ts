import { createReadStream } from "node:fs";
import { OperatorError } from "../errors/operator-error.ts";
import { mediaTypes } from "../image/media-types.ts";
import { parseManifest, parseObject } from "../image/oci.ts";
import { mostReferrers, parseReferrer } from "../image/referrer.ts";
import { fullName, type ImageReference } from "../image/reference.ts";
import { canonicalJson, digestHex, isDigest, type Digest, type Json } from "../model/canonical.ts";
import type { PushOptions, TransferOptions } from "../ports/registry.ts";
import type { Blobs, Descriptor, Referrer, Store } from "../ports/store.ts";
import { downloadBlob, leavePartial } from "./download.ts";
import { dropBody } from "./http.ts";
import { pushBlob } from "./push-blob.ts";
import { registryLies } from "./refusals.ts";
import { fetchManifest, mostDocumentBytes } from "./resolve.ts";
import type { Session } from "./session.ts";
import { inParallel } from "./transfers.ts";

/**
 * Puts manifests and their blobs beside their subject. For registries that keep no list of referrers, the list is kept under the
 * tag that stands for it.
 *
 * @param session may write to the repository
 * @see OCI distribution specification 1.1, "Pushing Manifests with Subject"
 */
export async function pushReferrers(
  session: Session,
  subject: Digest,
  referrers: readonly Referrer[],
  repository: string,
  blobs: Blobs,
  options: PushOptions,
): Promise<void> {
  const unlisted: Referrer[] = [];
  for (const referrer of referrers) {
    const bytes = await blobs.read(referrer.digest);
    const { config, layers } = parseManifest(bytes);
    const parts = new Map([config, ...layers].map((blob) => [blob.digest, blob]));
    await inParallel([...parts.values()], options.signal, (blob, either) =>
      pushBlob(session.until(either), blob, repository, blobs, { ...options, signal: either }),
    );
    const answer = await putManifest(session, repository, referrer.digest, referrer.mediaType, bytes);
    if (answer["oci-subject"] !== subject) unlisted.push(referrer);
  }
  if (unlisted.length > 0) await addToList(session, repository, subject, unlisted);
}

async function putManifest(
  session: Session,
  repository: string,
  name: string,
  mediaType: string,
  bytes: Buffer,
): Promise<{ readonly [header: string]: string | readonly string[] | undefined }> {
  const answer = await session.insist({
    method: "PUT",
    to: `/v2/${repository}/manifests/${name}`,
    headers: { "content-type": mediaType, "content-length": String(bytes.byteLength) },
    body: () => bytes,
    expected: [200, 201, 202],
    action: `push ${name}`,
  });
  dropBody(answer);
  return answer.headers;
}

/** The tag under which the referrers of a subject are listed where the registry does not list them. */
function listTag(subject: Digest): string {
  return `sha256-${digestHex(subject)}`;
}

async function addToList(
  session: Session,
  repository: string,
  subject: Digest,
  added: readonly Referrer[],
): Promise<void> {
  const listed = (await readList(session, repository, listTag(subject))) ?? [];
  const known = new Set(listed.map(({ digest }) => digest));
  const news = added.filter(({ digest }) => !known.has(digest));
  if (news.length === 0) return;
  const manifests = [...listed.map(({ entry }) => entry), ...(news as unknown as Json[])];
  const bytes = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
  await putManifest(session, repository, listTag(subject), mediaTypes.index, bytes);
}

interface Listed extends Pick<Descriptor, "digest" | "size"> {
  /** As the list has it. */
  readonly entry: Json;
}

/** @param name a tag, or `referrers/DIGEST` @returns undefined where there is no such list */
async function readList(session: Session, repository: string, name: string): Promise<readonly Listed[] | undefined> {
  const isApi = name.startsWith("referrers/");
  const action = `list what is said about images of ${session.host}/${repository}`;
  const bytes = await session.retry(action, async () => {
    const answer = await session.ask({
      method: "GET",
      to: `/v2/${repository}/${isApi ? name : `manifests/${name}`}`,
      headers: { accept: mediaTypes.index },
      // Registries that do not know the list answer in several ways.
      expected: isApi ? [200, 400, 404, 405, 501] : [200, 404],
      action,
    });
    if (answer.status === 200) return session.read(answer, mostDocumentBytes, "a list of referrers");
    dropBody(answer);
    return undefined;
  });
  if (bytes === undefined) return undefined;
  const { manifests } = parseObject(bytes, "index");
  if (!Array.isArray(manifests)) return isApi ? undefined : [];
  return (manifests as Json[]).flatMap((entry) => {
    const { digest, size } = (entry ?? {}) as { readonly digest?: unknown; readonly size?: unknown };
    return typeof digest === "string" && isDigest(digest) && typeof size === "number" ? [{ digest, size, entry }] : [];
  });
}

/**
 * Brings a subject's referrers into the store, as many as are taken; their bytes are those of their digests, and each names the
 * subject. What they say is not looked at. One that is no manifest, lies or is gone is left there: whoever may write to the
 * repository could else keep others from the image.
 */
export async function pullReferrers(
  session: Session,
  reference: ImageReference,
  subject: Digest,
  store: Pick<Store, "stat" | "write" | "attach">,
  options: TransferOptions & { readonly folder: string },
): Promise<{ readonly found: number; readonly taken: number }> {
  const { repository } = reference;
  const listed =
    (await readList(session, repository, `referrers/${subject}`)) ??
    (await readList(session, repository, listTag(subject))) ??
    [];
  let left: number = mostReferrers.bytes;
  let taken = 0;
  for (const { digest } of listed.slice(0, mostReferrers.count)) {
    const size = await takeReferrer(session, reference, { subject, digest, left }, store, options).catch(leftThere);
    if (size === undefined) continue;
    left -= size;
    taken += 1;
  }
  return { found: listed.length, taken };
}

/** For `catch`: of one referrer that is wrong, nothing; any other failure stays one. */
function leftThere(error: unknown): undefined {
  if (error instanceof OperatorError && /^(VERIFICATION_FAILED|NOT_FOUND)$/.test(error.code)) return undefined;
  throw error;
}

/** @returns how many bytes it has; undefined when that is more than is left */
async function takeReferrer(
  session: Session,
  reference: ImageReference,
  { subject, digest, left }: { readonly subject: Digest; readonly digest: Digest; readonly left: number },
  store: Pick<Store, "stat" | "write" | "attach">,
  options: TransferOptions & { readonly folder: string },
): Promise<number | undefined> {
  const manifest = await fetchManifest(session, { ...reference, tag: null, digest }, digest);
  if (parseReferrer(manifest).subject !== subject)
    throw registryLies(session.host, digest, `it is listed as said about ${subject}, and is not`);
  const { config, layers } = parseManifest(manifest);
  const parts = [...new Map([config, ...layers].map((blob) => [blob.digest, blob])).values()];
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  if (size > left) return undefined;
  await inParallel(parts, options.signal, (blob, either) =>
    takeBlob(session.until(either), blob, reference, store, { ...options, signal: either }),
  );
  await store.attach(manifest);
  return size;
}

async function takeBlob(
  session: Session,
  blob: Descriptor,
  reference: ImageReference,
  store: Pick<Store, "stat" | "write">,
  { folder, signal }: TransferOptions & { readonly folder: string },
): Promise<void> {
  const size = await store.stat(blob.digest);
  if (size === blob.size) return;
  if (size !== undefined)
    throw registryLies(session.host, blob.digest, `it has ${size} bytes, ${fullName(reference)} says ${blob.size}`);
  const progress = (): void => undefined;
  const partial = await downloadBlob(session, blob, { folder, repository: reference.repository, signal, progress });
  try {
    await store.write(createReadStream(partial.path, { highWaterMark: 1 << 20, signal }), blob);
    await partial.remove();
  } catch (error) {
    await leavePartial(partial, error);
    throw error;
  }
}
