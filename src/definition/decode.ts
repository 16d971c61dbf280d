import type { OperatorError } from "../errors/operator-error.ts";
import { Lines } from "./lines.ts";
import { definitionError, wholeFile } from "./problem.ts";

/** Largest definition, in bytes. */
export const maxBytes = 256 * 1024;

/**
 * The text of a definition file: UTF-8, with or without a byte order mark.
 *
 * @param bytes the whole file, or its beginning where it is larger than {@link maxBytes}
 * @throws {OperatorError} `DEFINITION_INVALID` when it is too large or no text, with line and column
 */
export function decodeDefinition(bytes: Uint8Array, fileName: string): string {
  if (bytes.byteLength > maxBytes) throw tooLarge(fileName);
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    throw definitionError(fileName, [wholeFile("is UTF-16; save it as UTF-8")]);
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw at(bytes, nul, fileName, "holds a NUL byte: this is no text file");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw at(bytes, wellFormedBytes(bytes), fileName, "holds bytes that are no UTF-8; save it as UTF-8");
  }
}

export function tooLarge(fileName: string): OperatorError {
  return definitionError(fileName, [
    wholeFile(`is larger than ${maxBytes / 1024} KiB; a definition names files, it does not hold them`),
  ]);
}

function at(bytes: Uint8Array, offset: number, fileName: string, message: string): OperatorError {
  const before = new TextDecoder().decode(bytes.subarray(0, offset));
  return definitionError(fileName, [{ ...wholeFile(message), ...new Lines(before).at(before.length) }]);
}

/** How many bytes from the beginning are UTF-8. */
function wellFormedBytes(bytes: Uint8Array): number {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const encoder = new TextEncoder();
  let offset = 0;
  for (const character of text) {
    const encoded = encoder.encode(character);
    if (!encoded.every((byte, index) => bytes[offset + index] === byte)) return offset;
    offset += encoded.byteLength;
  }
  return offset;
}
