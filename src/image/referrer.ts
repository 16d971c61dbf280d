import { OperatorError } from "../errors/operator-error.ts";
import { canonicalJson, isDigest, sha256, type Digest, type Json } from "../model/canonical.ts";
import { mediaTypes } from "./media-types.ts";
import type { BlobDescriptor } from "./oci.ts";

/** What the list of a subject's referrers says about one of them. @see OCI distribution specification 1.1, "Listing Referrers" */
export interface ReferrerDescriptor extends BlobDescriptor {
  /** What kind of thing refers to the subject. */
  readonly artifactType: string;
}

/** A manifest that is about another one. */
export interface ReferrerManifest {
  readonly subject: BlobDescriptor;
  readonly artifactType: string;
  readonly layers: readonly BlobDescriptor[];
  readonly annotations: { readonly [key: string]: string };
}

/** What is taken at once of what refers to an image: whoever may write to a repository can put any number of manifests there. */
export const mostReferrers = { count: 100, bytes: 512 * 2 ** 20 } as const;

/** The empty JSON object that stands where a manifest has no config. @see OCI image specification, "Guidance for an Empty Descriptor" */
export const emptyConfig = Buffer.from("{}");

/** The one serialiser of manifests with a subject. */
export function serialiseReferrer(manifest: ReferrerManifest): Buffer {
  const { subject, artifactType, layers, annotations } = manifest;
  const config = { mediaType: mediaTypes.empty, digest: sha256(emptyConfig), size: emptyConfig.byteLength };
  return Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType,
      config,
      layers: layers as unknown as Json,
      subject: subject as unknown as Json,
      annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
    }),
  );
}

/**
 * What a manifest refers to, and how its subject's list tells of it. Its kind is its `artifactType`, else its config's
 * media type.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` when it is no manifest with a subject
 */
export function parseReferrer(bytes: Uint8Array): {
  readonly subject: Digest;
  readonly descriptor: ReferrerDescriptor;
} {
  const manifest = asObject(parseJson(bytes));
  const subject = asObject(manifest["subject"])["digest"];
  const mediaType = manifest["mediaType"] ?? mediaTypes.manifest;
  const artifactType = manifest["artifactType"] ?? asObject(manifest["config"])["mediaType"] ?? "";
  if (typeof subject !== "string" || !isDigest(subject)) throw malformed("it names no subject");
  if (typeof mediaType !== "string" || typeof artifactType !== "string") throw malformed("its types are no texts");
  const annotations = Object.fromEntries(
    Object.entries(asObject(manifest["annotations"])).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
  return {
    subject,
    descriptor: {
      mediaType,
      digest: sha256(bytes),
      size: bytes.byteLength,
      artifactType,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as unknown;
  } catch {
    throw malformed("it is no JSON");
  }
}

function asObject(value: unknown): { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function malformed(what: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot use a manifest that is to refer to another: ${what}`, {
    hint: "get it again from where it came from",
  });
}
