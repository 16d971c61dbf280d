import { OperatorError } from "../errors/operator-error.ts";
import type { Digest } from "../model/canonical.ts";

export interface Expected {
  readonly digest: Digest;
  readonly size?: number;
}

export function blobMissing(digest: Digest): OperatorError {
  return new OperatorError("NOT_FOUND", `Cannot find ${digest}: the store lacks it`, {
    hint: "build or import the image again",
  });
}

export function bytesLie(wanted: Digest, got: Digest, wantedSize?: number, gotSize?: number): OperatorError {
  const sizes =
    wantedSize === undefined || gotSize === undefined || wantedSize === gotSize
      ? ""
      : ` (${gotSize} bytes instead of ${wantedSize})`;
  return new OperatorError("VERIFICATION_FAILED", `Cannot use the bytes given as ${wanted}: they are ${got}${sizes}`, {
    hint: "the bytes were changed or are incomplete; get them again from where they came from",
  });
}

export function tooLarge(digest: Digest, size: number, maxBytes: number): OperatorError {
  return new OperatorError(
    "VERIFICATION_FAILED",
    `Cannot read ${digest} into memory: it has ${size} bytes, at most ${maxBytes} are read`,
    {
      hint: "a manifest or config of this size is not genuine; get the image again",
    },
  );
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not `[HOST:PORT/][a-z0-9._/-]+:[A-Za-z0-9._-]+` of at most 240 characters */
export function checkTagName(name: string): void {
  if (name.length <= 240 && /^(?:[a-z0-9.:[\]-]+\/)?[a-z0-9._/-]+:[A-Za-z0-9._-]+$/.test(name)) return;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${name.slice(0, 100)}" as an image's name`, {
    hint: "names look like shop:v1, base/node:22 or registry.example:5000/shop:v1",
  });
}
