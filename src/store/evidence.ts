import { mediaTypes } from "../image/media-types.ts";
import { describe } from "../image/oci.ts";
import { emptyConfig, serialiseReferrer } from "../image/referrer.ts";
import { canonicalJson, digestHex, type Json } from "../model/canonical.ts";
import type { EvidenceKeeper } from "../ports/evidence.ts";
import type { Store } from "../ports/store.ts";

/**
 * Keeps evidence in a store: an in-toto statement in a manifest whose subject is the artifact.
 *
 * @see in-toto attestation framework, Statement v1; OCI image specification 1.1, `subject`
 */
export function createEvidence(store: Pick<Store, "read" | "write" | "attach">): EvidenceKeeper {
  return {
    async attach(artifact, { predicateType, predicate }) {
      const subject = describe(mediaTypeOf(await store.read(artifact)), await store.read(artifact));
      const statement = Buffer.from(
        canonicalJson({
          _type: "https://in-toto.io/Statement/v1",
          subject: [{ digest: { sha256: digestHex(artifact) } }],
          predicateType,
          predicate: predicate as Json,
        }),
      );
      await store.write(statement);
      await store.write(emptyConfig);
      const manifest = serialiseReferrer({
        subject,
        artifactType: mediaTypes.statement,
        layers: [describe(mediaTypes.statement, statement)],
        annotations: { "in-toto.io/predicate-type": predicateType },
      });
      return (await store.attach(manifest)).digest;
    },
  };
}

/** An artifact's own word for what it is; older images have none. */
function mediaTypeOf(manifest: Buffer): string {
  const { mediaType } = JSON.parse(manifest.toString("utf8")) as { readonly mediaType?: unknown };
  return typeof mediaType === "string" ? mediaType : mediaTypes.manifest;
}
