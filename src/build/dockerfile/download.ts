import type { IncomingMessage } from "node:http";
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
const mostHops = 10;

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
  const watch = (ms: number): NodeJS.Timeout =>
    setTimeout(() => silence.abort(new Error(`nothing came for ${ms / 1000} s`)), ms);
  let timer = watch(answerMs);
  try {
    const answer = await request(new URL(address), AbortSignal.any([signal, silence.signal]), 0);
    const pieces = async function* (): AsyncGenerator<Buffer> {
      let total = 0;
      for await (const piece of answer as AsyncIterable<Buffer>) {
        clearTimeout(timer);
        timer = watch(silenceMs);
        total += piece.byteLength;
        if (total > mostBytes) throw new Error(`it has more than ${mostBytes} bytes`);
        yield piece;
      }
      if (!answer.complete) throw new Error("the connection broke before its end");
    };
    const bytes = Readable.from(pieces(), { objectMode: false });
    return await blobs.write(bytes, checksum === null ? undefined : { digest: checksum });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof OperatorError && cause.code === "VERIFICATION_FAILED")
      throw new OperatorError(cause.code, `Cannot take ${address}: it is not what --checksum says`, {
        hint: "see whether what is there was meant to change; then correct --checksum",
        cause,
      });
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError("BUILD_FAILED", `Cannot fetch ${address}`, {
      hint: "see whether the address is right and can be reached from here",
      cause: silence.signal.aborted ? silence.signal.reason : cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Asks, by the proxies of the environment, and follows where it is sent. @returns an answer of 200 */
async function request(url: URL, signal: AbortSignal, hops: number): Promise<IncomingMessage> {
  const { Agent, get } = url.protocol === "https:" ? await import("node:https") : await import("node:http");
  const agent = new Agent({ proxyEnv: process.env });
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { agent, signal, headers: { "user-agent": "bronze" } }, resolve).once("error", reject);
  });
  const { statusCode: status = 0, headers } = answer;
  if (status === 200) return answer;
  answer.destroy();
  if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined)
    throw new Error(`the server answers ${status}`);
  if (hops === mostHops) throw new Error(`it is moved on more than ${mostHops} times`);
  const next = new URL(headers.location, url);
  if (next.protocol !== "http:" && next.protocol !== "https:") throw new Error(`it is moved to ${next.protocol}`);
  return request(next, signal, hops + 1);
}

async function bytesOf(blobs: Blobs, digest: Digest, size: number): Promise<LayerBytes> {
  return bytesOfRange({ path: await blobs.path(digest), offset: 0, size, name: digest });
}
