import { mediaTypes } from "../image/media-types.ts";
import { describe, parseObject, type BlobDescriptor } from "../image/oci.ts";
import { emptyConfig, serialiseReferrer } from "../image/referrer.ts";
import { isDigest, sha256, type Digest } from "../model/canonical.ts";
import type { Signer } from "../ports/signer.ts";
import type { Blobs, Store } from "../ports/store.ts";
import { bundleType, mostBundleBytes, readBundle, serialiseBundle } from "../trust/bundle.ts";
import { mostStatementBytes, serialiseStatement, type Statement, type WrittenStatement } from "../trust/statement.ts";
import { judgeBundle, type FoundBundle } from "../trust/verify.ts";
import { OperatorError } from "../errors/operator-error.ts";

/** A signed statement of the store. */
export interface Attestation extends FoundBundle {
  /** What the manifest says is in it; the bundle itself decides. Null: it does not say. */
  readonly predicateType: string | null;
}

/** sigstore's names for what a referrer's manifest tells of its bundle. */
const kindAnnotation = "dev.sigstore.bundle.predicateType";
const contentAnnotation = "dev.sigstore.bundle.content";

/** How many bundles of an artifact are looked at, and how much of them: beyond that, nobody put them there in good faith. */
const mostBundles = 5000;
const mostBytesInAll = 128 * 2 ** 20;

/**
 * Signs a statement and keeps it beside the artifact that it is about, as one of its referrers; on disk when it resolves. A
 * statement that the store has, signed by the key that signs now, is not signed again.
 *
 * @returns digest of the manifest that carries it
 * @throws {OperatorError} `NOT_FOUND` when the store lacks the artifact, `ARGUMENT_INVALID` for a statement of more than 16 MiB,
 * what the signer throws, `DISK_FULL`
 */
export async function attest(
  store: Pick<Store, "read" | "write" | "attach" | "referrers">,
  signer: Signer,
  statement: Statement,
): Promise<Digest> {
  const subject = await describeArtifact(store, statement.subject);
  const signed = await signStatement(store, signer, subject, statement);
  if (signed.bundle !== null) {
    await Promise.all([store.write(signed.bundle.bytes), store.write(emptyConfig)]);
    await store.attach(signed.manifest);
  }
  return sha256(signed.manifest);
}

/** A signed statement that is not kept yet; with a bundle that is null, it is. */
export interface SignedStatement {
  readonly bundle: { readonly digest: Digest; readonly bytes: Buffer } | null;
  /** What carries the bundle: a referrer of the artifact, with the empty config. */
  readonly manifest: Buffer;
}

/**
 * Signs a statement about an artifact that the store need not have yet. One that the store has, signed by the key that signs
 * now, is not signed again.
 *
 * @param subject the artifact's manifest
 * @throws {OperatorError} `ARGUMENT_INVALID` for a statement of more than 16 MiB, what the signer throws
 */
export async function signStatement(
  store: Pick<Store, "read" | "referrers">,
  signer: Signer,
  subject: BlobDescriptor,
  statement: Statement | WrittenStatement,
): Promise<SignedStatement> {
  const { subject: artifact, predicateType } = statement;
  const payload = serialiseStatement(statement);
  if (payload.byteLength > mostStatementBytes)
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot sign a statement about ${artifact}: it has ${payload.byteLength} bytes, at most ${mostStatementBytes} are signed`,
      { hint: "say less in it, or name what it is about by digest" },
    );
  const known = await signedBefore(store, signer, artifact, predicateType, payload);
  if (known !== undefined) return { bundle: null, manifest: await store.read(known) };
  const { keyId, signature } = await signer.sign(payload);
  const bytes = serialiseBundle(keyId, payload, signature);
  const descriptor = describe(bundleType, bytes);
  const manifest = serialiseReferrer({
    subject,
    artifactType: bundleType,
    layers: [descriptor],
    annotations: { [contentAnnotation]: "dsse-envelope", [kindAnnotation]: predicateType },
  });
  return { bundle: { digest: descriptor.digest, bytes }, manifest };
}

/**
 * The signed statements about an artifact, in order of their manifests' digests; none of them is verified. Those that the store
 * has lost, or whose bytes were changed, are given without bytes, so that verification names them.
 *
 * @param predicateTypes only those that say they are of these kinds, and those that do not say
 */
export async function attestationsOf(
  store: Pick<Store, "read" | "referrers">,
  artifact: Digest,
  predicateTypes?: readonly string[],
): Promise<readonly Attestation[]> {
  const wanted = (await store.referrers(artifact, bundleType))
    .map(({ digest, annotations }) => ({ digest, predicateType: annotations?.[kindAnnotation] ?? null }))
    .filter(({ predicateType }) => predicateTypes?.includes(predicateType ?? "") !== false || predicateType === null)
    .slice(0, mostBundles);
  const found: Attestation[] = [];
  for (let at = 0, bytesInAll = 0; at < wanted.length && bytesInAll <= mostBytesInAll; at += atOnce) {
    const group = wanted.slice(at, at + atOnce).map(async ({ digest, predicateType }): Promise<Attestation> => {
      const read = await readBundleOf(store, digest);
      bytesInAll += read.bytes.byteLength;
      return { manifest: digest, predicateType, ...read };
    });
    found.push(...(await Promise.all(group)));
  }
  return found;
}

/** How many are read at the same time. */
const atOnce = 8;

async function readBundleOf(
  store: Pick<Blobs, "read">,
  manifest: Digest,
): Promise<Pick<Attestation, "bytes" | "unread">> {
  const blob = await onlyLayer(store, manifest);
  if (blob === undefined) return { bytes: nothing };
  if (blob.size > mostBundleBytes)
    return { bytes: nothing, unread: `it has ${blob.size} bytes, at most ${mostBundleBytes} are read` };
  return { bytes: await store.read(blob.digest, mostBundleBytes).catch(() => nothing) };
}

/** The blob that holds the bundle of an attestation, by the digest of its manifest; undefined where it names not exactly one. */
export async function attestationBlob(store: Pick<Blobs, "read">, manifest: Digest): Promise<Digest | undefined> {
  return (await onlyLayer(store, manifest))?.digest;
}

async function onlyLayer(store: Pick<Blobs, "read">, manifest: Digest): Promise<Layer | undefined> {
  const [layer, second] = layersOf(await store.read(manifest));
  return second === undefined ? layer : undefined;
}

interface Layer {
  readonly digest: Digest;
  /** As the manifest says. */
  readonly size: number;
}

const nothing = new Uint8Array();

/** Of a referrer's manifest, which anybody may have written. */
function layersOf(manifest: Buffer): readonly Layer[] {
  const { layers } = parseObject(manifest, "manifest");
  if (!Array.isArray(layers) || layers.length > 10) return [];
  return (layers as ({ readonly digest?: unknown; readonly size?: unknown } | null)[]).flatMap((layer) => {
    const { digest, size } = layer ?? {};
    return typeof digest === "string" && isDigest(digest) ? [{ digest, size: Number(size) }] : [];
  });
}

/** The manifest that carries the same statement, with a signature of the key that signs now that holds. */
async function signedBefore(
  store: Pick<Store, "read" | "referrers">,
  signer: Signer,
  artifact: Digest,
  predicateType: string,
  payload: Buffer,
): Promise<Digest | undefined> {
  const same = (await attestationsOf(store, artifact, [predicateType])).filter(({ bytes }) => {
    const bundle = readBundle(bytes);
    return typeof bundle !== "string" && bundle.payload.equals(payload);
  });
  if (same.length === 0) return undefined;
  const trust = await signer.trust();
  return same.find((one) => {
    // Whether its window is open does not matter: what it is about, and who signed it.
    const { problem, key } = judgeBundle(one, artifact, trust, {}, Number.NaN);
    return problem === null && key === trust.log.active?.id;
  })?.manifest;
}

/** @throws {OperatorError} `NOT_FOUND` */
async function describeArtifact(store: Pick<Store, "read">, artifact: Digest): Promise<BlobDescriptor> {
  const bytes = await store.read(artifact);
  const { mediaType } = parseObject(bytes, "manifest");
  return describe(typeof mediaType === "string" ? mediaType : mediaTypes.manifest, bytes);
}
