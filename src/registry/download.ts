import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { diskTrouble } from "../errors/disk.ts";
import { diskError, OperatorError } from "../errors/operator-error.ts";
import type { Digest } from "../model/canonical.ts";
import type { Descriptor } from "../ports/store.ts";
import { bodyOf, dropBody, isStall, type HttpAnswer } from "./http.ts";
import { takePartial, type Partial } from "./partials.ts";
import { Passing, registryLies } from "./refusals.ts";
import type { Session } from "./session.ts";

export interface DownloadOptions {
  readonly folder: string;
  readonly repository: string;
  readonly signal: AbortSignal;
  readonly progress: (bytes: number) => void;
}

/**
 * Brings a blob into a file, its bytes verified as they come. A connection that breaks is gone on with where it broke;
 * so is what an earlier process left, after its bytes were read again.
 *
 * @returns the file, to be removed or released
 * @throws {OperatorError} `VERIFICATION_FAILED`, `REGISTRY_FAILED`, `NOT_FOUND`, `DISK_FULL`
 */
export async function downloadBlob(session: Session, blob: Descriptor, options: DownloadOptions): Promise<Partial> {
  const partial = await takePartial(options.folder, blob.digest);
  try {
    const file = await open(partial.path, "a+", 0o600);
    try {
      const received = await readReceived(file, partial.path, options.signal);
      const left = received.size;
      const fetchRest = (): Promise<void> =>
        session.retry(`fetch ${blob.digest}`, (gotFurther) => goOn(session, blob, received, options, gotFurther));
      await fetchRest();
      if (digestOf(received) !== blob.digest && left > 0) {
        // What was left may have been damaged on the disk: once more, from the start.
        await startOver(received);
        await fetchRest();
      }
      if (digestOf(received) === blob.digest) return partial;
      await startOver(received);
      throw registryLies(session.host, blob.digest, "its bytes have another digest");
    } finally {
      await file.close();
    }
  } catch (error) {
    await leavePartial(partial, error);
    const trouble = diskTrouble(error);
    throw trouble === undefined ? error : diskError(trouble, `keep ${blob.digest}`, undefined, error);
  }
}

/** Keeps what has come for the next try, but for a full disk: others need the room more. */
export async function leavePartial(partial: Partial, error: unknown): Promise<void> {
  const isFull = diskTrouble(error) !== undefined || (error instanceof OperatorError && error.code === "DISK_FULL");
  await (isFull ? partial.remove() : partial.release());
}

/** What is in the file, all of it in the hash. */
interface Received {
  readonly file: FileHandle;
  hash: Hash;
  size: number;
}

async function goOn(
  session: Session,
  blob: Descriptor,
  received: Received,
  { repository, signal, progress }: DownloadOptions,
  gotFurther: () => void,
): Promise<void> {
  if (received.size > blob.size) await startOver(received);
  progress(received.size);
  if (received.size === blob.size) return;
  const answer = await session.ask({
    method: "GET",
    to: `/v2/${repository}/blobs/${blob.digest}`,
    headers: received.size === 0 ? {} : { range: `bytes=${received.size}-` },
    expected: [200, 206, 416],
    action: `fetch ${blob.digest}`,
  });
  if (!isContinuation(answer, received.size, blob.size)) {
    await startOver(received);
    if (answer.status !== 200) {
      dropBody(answer);
      throw new Passing(`it answered ${answer.status} when asked for the rest`);
    }
  }
  const rest = blob.size - received.size;
  const length = answer.headers["content-length"];
  if (length !== undefined && Number(length) !== rest) {
    dropBody(answer);
    throw registryLies(
      session.host,
      blob.digest,
      `it has ${Number(length) - rest + blob.size} bytes instead of ${blob.size}`,
    );
  }
  const began = received.size;
  try {
    for await (const piece of bodyOf(answer, rest, signal)) {
      for (let at = 0; at < piece.byteLength;) at += (await received.file.write(piece, at)).bytesWritten;
      received.hash.update(piece);
      received.size += piece.byteLength;
      progress(received.size);
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw registryLies(session.host, blob.digest, `it has more than ${blob.size} bytes`);
    if (isFurther(received, began) && !isStall(error)) gotFurther();
    throw error;
  }
  if (received.size === blob.size) return;
  if (isFurther(received, began)) gotFurther();
  throw new Passing(`it sent ${received.size} of ${blob.size} bytes`);
}

/** One that gives a byte at a time is not getting anywhere. */
function isFurther(received: Received, began: number): boolean {
  return received.size >= began + 1024;
}

function isContinuation({ status, headers }: HttpAnswer, from: number, total: number): boolean {
  if (status !== 206) return status === 200 && from === 0;
  const match = /^bytes ([0-9]+)-([0-9]+)\/(?:[0-9]+|\*)$/.exec(headers["content-range"] ?? "");
  return Number(match?.[1]) === from && Number(match?.[2]) === total - 1;
}

async function readReceived(file: FileHandle, path: string, signal: AbortSignal): Promise<Received> {
  const received: Received = { file, hash: createHash("sha256"), size: 0 };
  for await (const piece of createReadStream(path, { signal, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    received.hash.update(piece);
    received.size += piece.byteLength;
  }
  return received;
}

async function startOver(received: Received): Promise<void> {
  await received.file.truncate(0);
  received.hash = createHash("sha256");
  received.size = 0;
}

function digestOf({ hash }: Received): Digest {
  return `sha256:${hash.copy().digest("hex")}` as Digest;
}
