import { parseSizeBytes } from "../model/quantities.ts";

/**
 * What the build cache may take by BRONZE_CACHE_BYTES; nothing where that is not set.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID`
 */
export function cacheBounds(): { readonly cacheBytes?: number } {
  const text = process.env["BRONZE_CACHE_BYTES"];
  return text === undefined || text === "" ? {} : { cacheBytes: parseSizeBytes(text) };
}
