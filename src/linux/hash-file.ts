import { open, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import { mostUnpackedBytes } from "../image/tar-read.ts";
import type { Digest } from "../model/canonical.ts";

export interface Hashed {
  /** Digest of the file's bytes. */
  readonly digest: Digest;
  /** Digest of the bytes once decompressed; the same as `digest` where they were not compressed. */
  readonly plainDigest: Digest;
  readonly sizeBytes: number;
  /** Whether the plain bytes were written to `plainPath`. */
  readonly compressed: boolean;
}

/** A file below this is hashed in slices on the loop: a worker takes longer to start than that does. */
const smallBytes = 16 * 1024 * 1024;
const sliceBytes = 256 * 1024;

// Text, not a module of its own: the daemon ships as one bundled file, where no second entry point can be found.
const workerSource = `
const { workerData, parentPort } = require("node:worker_threads");
const { openSync, readSync, readlinkSync, createReadStream, createWriteStream } = require("node:fs");
const { createHash } = require("node:crypto");
const { Transform } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const zlib = require("node:zlib");
const { constants, setPriority } = require("node:os");
const { path, plainPath, mostPlainBytes } = workerData;
// Of this thread alone: the daemon's answers go first.
try {
  setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), constants.priority.PRIORITY_BELOW_NORMAL);
} catch {}
const head = Buffer.alloc(4);
readSync(openSync(path, "r"), head, 0, 4, 0);
const gzip = head[0] === 0x1f && head[1] === 0x8b;
const zstd = head.readUInt32LE(0) === 0xfd2fb528;
const meter = (most) => {
  const hash = createHash("sha256");
  const stream = new Transform({
    transform(chunk, _, done) {
      hash.update(chunk);
      stream.size += chunk.length;
      done(stream.size > most ? new Error("the layer is larger than " + most + " bytes once decompressed") : null, chunk);
    },
  });
  stream.size = 0;
  stream.digest = () => "sha256:" + hash.digest("hex");
  return stream;
};
(async () => {
  const outer = meter(Infinity);
  const source = createReadStream(path, { highWaterMark: 1 << 20 });
  if (plainPath === null || !(gzip || zstd)) {
    outer.resume();
    await pipeline(source, outer);
    const digest = outer.digest();
    return { digest, plainDigest: digest, sizeBytes: outer.size, compressed: false };
  }
  const inner = meter(mostPlainBytes);
  await pipeline(source, outer, gzip ? zlib.createGunzip() : zlib.createZstdDecompress(), inner, createWriteStream(plainPath, { mode: 0o600 }));
  return { digest: outer.digest(), plainDigest: inner.digest(), sizeBytes: outer.size, compressed: true };
})().then((result) => parentPort.postMessage(result));
`;

/** sha256 of a file, away from the loop. Rejects with what the file system says. */
export async function hashFile(path: string): Promise<{ readonly digest: Digest; readonly sizeBytes: number }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > smallBytes) return await inWorker(path, null);
    const hash = createHash("sha256");
    const slice = Buffer.allocUnsafe(Math.min(sliceBytes, size + 1));
    let sizeBytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(slice, 0, slice.length, sizeBytes);
      if (bytesRead === 0) break;
      hash.update(slice.subarray(0, bytesRead));
      sizeBytes += bytesRead;
    }
    return { digest: `sha256:${hash.digest("hex")}` as Digest, sizeBytes };
  } finally {
    await file.close();
  }
}

/** Hashes a layer's blob as it is and decompressed; a gzip or zstd one is written to `plainPath` on the way. */
export async function hashLayer(path: string, plainPath: string): Promise<Hashed> {
  const { size } = await stat(path);
  if (size <= smallBytes && !(await isCompressed(path))) {
    const { digest, sizeBytes } = await hashFile(path);
    return { digest, plainDigest: digest, sizeBytes, compressed: false };
  }
  return inWorker(path, plainPath, mostUnpackedBytes(size));
}

/** By the first bytes of gzip (RFC 1952) and zstd (RFC 8878). */
async function isCompressed(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const head = Buffer.alloc(4);
    await file.read(head, 0, 4, 0);
    return (head[0] === 0x1f && head[1] === 0x8b) || head.readUInt32LE(0) === 0xfd2fb528;
  } finally {
    await file.close();
  }
}

function inWorker(path: string, plainPath: string | null, mostPlainBytes = 0): Promise<Hashed> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerSource, {
      eval: true,
      workerData: { path, plainPath, mostPlainBytes },
      execArgv: [],
      env: {},
    });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error(`hashing ${path} ended without a result`)));
  });
}
