import { createHash } from "node:crypto";
import { OperatorError } from "../../errors/operator-error.ts";
import { createLayerCheck } from "../../image/layer-check.ts";
import { mostUnpackedBytes, readTar } from "../../image/tar-read.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Descriptor } from "../../ports/store.ts";
import { layerTarIn } from "./blob.ts";

/**
 * Reads a whole layer from its file: every member must be harmless and the tar's bytes those of its diff_id.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED`
 */
export async function verifyLayer(file: string, layer: Descriptor, diffId: Digest, signal: AbortSignal): Promise<void> {
  const hash = createHash("sha256");
  let total = 0;
  const most = mostUnpackedBytes(layer.size);
  const source = layerTarIn(file, layer);
  const hashed = async (): Promise<IteratorResult<Buffer>> => {
    signal.throwIfAborted();
    const next = await source.next();
    if (next.done === true) return next;
    total += next.value.byteLength;
    if (total > most)
      throw new OperatorError(
        "VERIFICATION_FAILED",
        `Cannot take layer ${layer.digest}: ${layer.size} bytes unpack to more than ${most}`,
        { hint: "this is no genuine image" },
      );
    hash.update(next.value);
    return next;
  };
  try {
    const check = createLayerCheck();
    for await (const { entry } of readTar({ [Symbol.asyncIterator]: () => ({ next: hashed }) })) check(entry);
    while ((await hashed()).done !== true);
  } finally {
    await source.return(undefined);
  }
  const got = `sha256:${hash.digest("hex")}`;
  if (got === diffId) return;
  throw new OperatorError(
    "VERIFICATION_FAILED",
    `Cannot take layer ${layer.digest}: its content is ${got}, the config says ${diffId}`,
    { hint: "the image is damaged; get it again from where it came from" },
  );
}
