import { posix } from "node:path";
import { Readable } from "node:stream";
import { OperatorError } from "../../errors/operator-error.ts";
import { isDigest, type Digest } from "../../model/canonical.ts";
import type { Blobs } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import type { LayerBytes } from "../layer/contents.ts";
import { bytesOfRange } from "../layer/file-range.ts";

export interface Download {
  /** The last part of the address. */
  readonly name: string;
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: LayerBytes;
  /** Whether it was there already. */
  readonly cached: boolean;
}

const mostBytes = 16 * 2 ** 30;
const answerMs = 60_000;
const silenceMs = 60_000;

/**
 * Fetches what an address names. A file that was fetched before is taken again, by its checksum, else by the address.
 *
 * @param checksum what it must be; null: whatever comes
 * @throws {OperatorError} `BUILD_FAILED` naming the address and what is in the way, `VERIFICATION_FAILED` for another checksum
 */
export async function download(
  address: string,
  checksum: Digest | null,
  { blobs, cache, signal }: { readonly blobs: Blobs; readonly cache: BuildCache; readonly signal: AbortSignal },
): Promise<Download> {
  const { pathname } = new URL(address);
  const last = posix.basename(decodeURIComponent(pathname));
  const name = last === "" || last === "." || last === ".." || last.includes("\0") ? "__unnamed__" : last;
  const key = { version: 1, address };
  const known = checksum ?? ((await cache.read("downloads", key)) as { digest?: unknown } | undefined)?.digest;
  if (typeof known === "string" && isDigest(known)) {
    const size = await blobs.stat(known);
    if (size !== undefined)
      return { name, digest: known, size, bytes: await bytesOf(blobs, known, size), cached: true };
  }
  const { digest, size } = await fetchInto(blobs, address, checksum, signal);
  if (checksum === null) await cache.write("downloads", key, { digest });
  return { name, digest, size, bytes: await bytesOf(blobs, digest, size), cached: false };
}

async function fetchInto(
  blobs: Blobs,
  address: string,
  checksum: Digest | null,
  signal: AbortSignal,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(new Error(`no answer in ${answerMs / 1000} s`)), answerMs);
  try {
    const response = await fetch(address, {
      signal: AbortSignal.any([signal, silence.signal]),
      headers: { "accept-encoding": "identity" },
    });
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status}`);
    if (Number(response.headers.get("content-length") ?? 0) > mostBytes)
      throw new Error(`it has more than ${mostBytes} bytes`);
    const body = Readable.fromWeb(response.body);
    const watched = async function* (): AsyncGenerator<Buffer> {
      let total = 0;
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(new Error(`nothing more came for ${silenceMs / 1000} s`)), silenceMs);
        total += piece.byteLength;
        if (total > mostBytes) throw new Error(`it has more than ${mostBytes} bytes`);
        yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      }
    };
    const bytes = Readable.from(watched(), { objectMode: false });
    return await blobs.write(bytes, checksum === null ? undefined : { digest: checksum });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof OperatorError && cause.code === "VERIFICATION_FAILED")
      throw new OperatorError(cause.code, `Cannot take ${address}: it is not what --checksum says`, {
        hint: "see whether what is there was meant to change; then correct --checksum",
        cause,
      });
    if (cause instanceof OperatorError) throw cause;
    const reason = silence.signal.aborted ? (silence.signal.reason as Error) : (deepest(cause) as Error);
    throw new OperatorError("BUILD_FAILED", `Cannot fetch ${address}`, {
      hint: "see whether the address is right and can be reached from here",
      cause: reason,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** `fetch` wraps what happened in an error that only says that it failed. */
function deepest(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? deepest(error.cause) : error;
}

async function bytesOf(blobs: Blobs, digest: Digest, size: number): Promise<LayerBytes> {
  return bytesOfRange({ path: await blobs.path(digest), offset: 0, size, name: digest });
}
