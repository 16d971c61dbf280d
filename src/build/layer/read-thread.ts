import type { Worker } from "node:worker_threads";

/** What the threads that read ahead share with the one who takes. All numbers are written before a batch is announced. */
export interface Shared {
  /** Bytes of the folder's path, as latin1. */
  readonly root: string;
  /** Whether that is the same as text. */
  readonly isAscii: boolean;
  /** Paths below the root, as bytes, batch by batch, between two of a batch a NUL. */
  readonly names: Uint8Array;
  readonly sizes: Uint32Array;
  /** Of each batch: number of its first file and where its names begin, both with one more at the end. */
  readonly firsts: Uint32Array;
  readonly nameStarts: Uint32Array;
  /** Of each batch: where its bytes begin and end, one file after the other, on a line that is wound around the ring. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly ring: Uint8Array;
  /** Of each batch a {@link batchState}. */
  readonly states: Int32Array;
  /** How many batches are announced; -1: it is over. */
  readonly announced: Int32Array;
  /** The batch that is being taken: what lies before it may be written over. */
  readonly taking: Int32Array;
  readonly digests: Uint8Array;
  readonly digestBytes: number;
}

/** Of a batch: nobody has it; a thread reads it; it lies in the ring; it is left to, or already with, the one who takes. */
export const batchState = { open: 0, reading: 1, ready: 2, left: 3 } as const;

/** A thread that reads what is announced, batch by batch, as far as there is room. */
export function startThread(data: Shared): Worker {
  // Builds of few files start no thread: what they do not use is not loaded.
  const { Worker: Thread } = process.getBuiltinModule("node:worker_threads");
  // Text, not a module of its own: the commands ship as bundled files, where no second entry point can be found.
  const worker = new Thread(`(${thread.toString()})()`, { eval: true, workerData: data, execArgv: [], env: {} });
  worker.unref();
  // What it has begun is not waited for beyond a time, and what it has not is read by the one who takes it.
  worker.on("error", () => undefined);
  return worker;
}

/** The whole of a thread's program: it knows nothing but its data. */
function thread(): void {
  const { workerData } = process.getBuiltinModule("node:worker_threads");
  const { openSync, readSync, closeSync, constants } = process.getBuiltinModule("node:fs");
  const { hash } = process.getBuiltinModule("node:crypto");
  const data = workerData as Shared;
  const { root, sizes, firsts, nameStarts, starts, ends, states, announced, taking } = data;
  const names = Buffer.from(data.names.buffer);
  const ring = Buffer.from(data.ring.buffer);
  const digests = Buffer.from(data.digests.buffer);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const readFile = (location: Buffer | string, number: number, at: number): boolean => {
    const size = sizes[number] as number;
    const descriptor = openSync(location, flags);
    try {
      // A byte more: what grew meanwhile is noticed.
      if (readSync(descriptor, ring, at, size + 1, null) !== size) return false;
    } finally {
      closeSync(descriptor);
    }
    digests.write(hash("sha256", ring.subarray(at, at + size), "latin1"), number * data.digestBytes, "latin1");
    return true;
  };
  const readBatch = (batch: number): boolean => {
    let at = (starts[batch] as number) % ring.byteLength;
    let number = firsts[batch] as number;
    const paths = names.toString("latin1", nameStarts[batch], nameStarts[batch + 1]);
    // eslint-disable-next-line no-control-regex -- all of ASCII
    const isText = data.isAscii && /^[\x00-\x7f]*$/.test(paths);
    for (const path of paths.split("\0")) {
      const location = `${root}/${path}`;
      if (!readFile(isText ? location : Buffer.from(location, "latin1"), number, at)) return false;
      at += sizes[number] as number;
      number += 1;
    }
    return true;
  };
  /** @returns false: it is over */
  const isAnnounced = (batch: number): boolean => {
    for (;;) {
      const count = Atomics.load(announced, 0);
      if (count < 0 || batch < count) return count >= 0;
      Atomics.wait(announced, 0, count);
    }
  };
  const waitForRoom = (batch: number): void => {
    const lastStart = (ends[batch] as number) - ring.byteLength;
    for (;;) {
      const now = Atomics.load(taking, 0);
      if (lastStart <= (starts[now] as number)) return;
      Atomics.wait(taking, 0, now);
    }
  };
  for (let batch = 0; isAnnounced(batch); batch++) {
    waitForRoom(batch);
    if (Atomics.compareExchange(states, batch, 0, 1) !== 0) continue;
    let isRead = false;
    try {
      isRead = readBatch(batch);
    } catch {
      // Whoever takes it reads it again and tells.
    }
    Atomics.compareExchange(states, batch, 1, isRead ? 2 : 3);
    Atomics.notify(states, batch);
  }
}
