import { hash } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { isAscii, type FoundFile } from "./walk.ts";

/**
 * Reads many small files ahead in threads of their own, for whoever takes them in this order. What a thread could not read,
 * or has not yet begun to, is read by the one who takes it: nothing here fails.
 */
export interface ReadAhead {
  /** ms since the epoch; nothing was read before. */
  readonly startedAtMs: number;
  /** Whether this file is the next one to be taken. */
  expects(file: FoundFile): boolean;
  /**
   * Writes the next file's bytes into `target` from `at` on.
   *
   * @returns sha256 of the bytes, as latin1; undefined: it has to be read by the caller
   */
  take(target: Buffer, at: number): string | undefined;
  /** Ends the threads. */
  end(): void;
}

/** Reads one file; writes at most its size and one byte more. @throws when its size is another one */
export type ReadWhole = (file: FoundFile, target: Buffer, at: number) => void;

/** Fewer files are read sooner than a thread starts. */
const fewestFiles = 4000;
const mostThreads = 3;
const batchBytes = 256 << 10;
const batchFiles = 64;
/** Batches that are read but not yet taken. */
const slots = 16;
const digestBytes = 32;
const mostWaitMs = 5000;

/** Of a batch: nobody has it; a thread reads it; it lies in its slot; it is left to, or already with, the one who takes. */
const state = { open: 0, reading: 1, ready: 2, left: 3 } as const;

/** What the threads share. Batch b's bytes lie in slot b % slots, one file after the other. */
interface Shared {
  readonly root: string;
  /** Paths below the root, as bytes, each ended by a NUL. */
  readonly paths: string;
  /** Whether root and paths are the same bytes as text. */
  readonly isAscii: boolean;
  readonly sizes: Uint32Array;
  /** Number of the first file of each batch; at the end that of all files. */
  readonly firsts: Uint32Array;
  readonly states: Int32Array;
  /** The batch that is being taken; threads stay fewer than `slots` ahead of it. */
  readonly position: Int32Array;
  readonly bytes: Uint8Array;
  readonly slotBytes: number;
  readonly slots: number;
  readonly digests: Uint8Array;
  readonly digestBytes: number;
}

/** @param files in the order in which they will be taken, of one root; undefined: not worth it */
export function readAhead(files: readonly FoundFile[], mostBytes: number, readWhole: ReadWhole): ReadAhead | undefined {
  const root = files[0]?.root;
  const threads = Math.min(availableParallelism() - 1, mostThreads);
  if (root === undefined || files.length < fewestFiles || threads < 1) return undefined;
  const firsts = batchesOf(files);
  const batches = firsts.length - 1;
  const slotBytes = batchBytes + mostBytes + 1;
  const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
  const paths = files.map(({ path }) => `${path}\0`).join("");
  const data: Shared = {
    root: Buffer.from(root.path).toString("latin1"),
    paths,
    isAscii: root.isAscii && isAscii(paths),
    sizes: Uint32Array.from(files, ({ size }) => size),
    firsts: Uint32Array.from(firsts),
    states: new Int32Array(shared(4 * batches)),
    position: new Int32Array(shared(4)),
    bytes: new Uint8Array(shared(slots * slotBytes)),
    slotBytes,
    slots,
    digests: new Uint8Array(shared(files.length * digestBytes)),
    digestBytes,
  };
  const { states, position } = data;
  const bytes = Buffer.from(data.bytes.buffer);
  const digests = Buffer.from(data.digests.buffer);
  const startedAtMs = Date.now();
  const workers = Array.from({ length: threads }, () => startThread(data));
  /** Batches that were read here while another one was waited for. */
  const own = new Map<number, { readonly bytes: Buffer; readonly digests: readonly string[] }>();
  const spare: Buffer[] = [];
  let isTrusted = true;
  let next = 0;
  let batch = 0;
  let offset = 0;

  const firstOf = (number: number): number => firsts[number] as number;
  const readHere = (number: number): void => {
    const target = spare.pop() ?? Buffer.allocUnsafeSlow(slotBytes);
    const found: string[] = [];
    let at = 0;
    for (const file of files.slice(firstOf(number), firstOf(number + 1))) {
      readWhole(file, target, at);
      found.push(hash("sha256", target.subarray(at, at + file.size), "latin1"));
      at += file.size;
    }
    own.set(number, { bytes: target, digests: found });
  };
  /** While a thread still reads what is next, something later is read here, if there is any that no thread has begun. */
  const wait = (): void => {
    const last = Math.min(batch + slots, batches);
    for (let later = batch + 1; later < last; later++) {
      if (Atomics.compareExchange(states, later, state.open, state.left) !== state.open) continue;
      try {
        readHere(later);
      } catch {
        // Whoever takes it reads it again and tells.
      }
      return;
    }
    // A thread that does not come back is not waited for; it may yet write where others read.
    if (Atomics.wait(states, batch, state.reading, mostWaitMs) === "timed-out") isTrusted = false;
  };
  const isReady = (): boolean => {
    while (isTrusted && Atomics.load(states, batch) === state.reading) wait();
    if (!isTrusted) return false;
    return Atomics.compareExchange(states, batch, state.open, state.left) === state.ready;
  };
  const enter = (): void => {
    const done = own.get(batch);
    if (done !== undefined) spare.push(done.bytes);
    own.delete(batch);
    batch += 1;
    offset = 0;
    Atomics.store(position, 0, batch);
    Atomics.notify(position, 0);
  };

  return {
    startedAtMs,
    expects: (file) => files[next] === file,
    take(target, at) {
      if (next === firstOf(batch + 1)) enter();
      const number = next;
      const size = files[number]?.size ?? 0;
      const from = offset;
      next += 1;
      offset += size;
      const mine = own.get(batch);
      if (mine !== undefined) {
        mine.bytes.copy(target, at, from, from + size);
        return mine.digests[number - firstOf(batch)];
      }
      if (!isReady()) return undefined;
      const start = (batch % slots) * slotBytes + from;
      bytes.copy(target, at, start, start + size);
      return digests.toString("latin1", number * digestBytes, (number + 1) * digestBytes);
    },
    end() {
      // Those who wait for room see that there is nothing left to do.
      Atomics.store(position, 0, batches);
      Atomics.notify(position, 0);
      for (let one = 0; one < batches; one++) Atomics.compareExchange(states, one, state.open, state.left);
      for (const worker of workers) void worker.terminate();
    },
  };
}

/** Numbers of the first files of batches that fit into a slot, and the number of all files. */
function batchesOf(files: readonly FoundFile[]): readonly number[] {
  const firsts: number[] = [];
  let bytes = 0;
  for (const [number, { size }] of files.entries()) {
    const isFull = number - (firsts.at(-1) ?? 0) >= batchFiles || bytes >= batchBytes;
    if (firsts.length === 0 || isFull) {
      firsts.push(number);
      bytes = 0;
    }
    bytes += size;
  }
  return [...firsts, files.length];
}

function startThread(data: Shared): Worker {
  // Text, not a module of its own: the commands ship as bundled files, where no second entry point can be found.
  const worker = new Worker(`(${thread.toString()})()`, { eval: true, workerData: data, execArgv: [], env: {} });
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
  const { states, position, firsts, sizes } = data;
  const paths = data.paths.split("\0");
  const bytes = Buffer.from(data.bytes.buffer);
  const digests = Buffer.from(data.digests.buffer);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const readFile = (number: number, at: number): boolean => {
    const size = sizes[number] as number;
    const location = `${data.root}/${paths[number]}`;
    const descriptor = openSync(data.isAscii ? location : Buffer.from(location, "latin1"), flags);
    try {
      // A byte more: what grew meanwhile is noticed.
      if (readSync(descriptor, bytes, at, size + 1, null) !== size) return false;
    } finally {
      closeSync(descriptor);
    }
    const digest = hash("sha256", bytes.subarray(at, at + size), "latin1");
    digests.write(digest, number * data.digestBytes, "latin1");
    return true;
  };
  const readBatch = (batch: number): boolean => {
    let at = (batch % data.slots) * data.slotBytes;
    for (let number = firsts[batch] as number; number < (firsts[batch + 1] as number); number++) {
      if (!readFile(number, at)) return false;
      at += sizes[number] as number;
    }
    return true;
  };
  for (let batch = 0; batch < states.length; batch++) {
    for (let now = Atomics.load(position, 0); batch - now >= data.slots; now = Atomics.load(position, 0))
      Atomics.wait(position, 0, now);
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
