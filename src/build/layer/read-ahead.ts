import { hash } from "node:crypto";
import { availableParallelism } from "node:os";
import { createBatches, type Batches } from "./read-batches.ts";
import { batchState, startThread } from "./read-thread.ts";
import type { FoundFile } from "./walk.ts";

/**
 * Reads many small files ahead in threads of their own, for whoever takes them in this order. What a thread could not read,
 * or has not yet begun to, is read by the one who takes it: nothing here fails.
 */
export interface ReadAhead {
  /** ms since the epoch; nothing was read before. */
  readonly startedAtMs: number;
  /** The next file that will be taken, which may be read from now on. */
  add(file: FoundFile): void;
  /** Whether it was given these files and no others, as far as it keeps any; there is nothing more to come. */
  isOf(files: readonly FoundFile[]): boolean;
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
const fewestFiles = 2000;
const mostThreads = 3;
/** Of those that are read while a thread is waited for. */
const mostOwn = 16;
const mostWaitMs = 5000;

/** @param readWhole for what is read by the one who takes */
export function createReadAhead(readWhole: ReadWhole): ReadAhead {
  const startedAtMs = Date.now();
  const threads = Math.min(availableParallelism() - 1, mostThreads);
  const files: FoundFile[] = [];
  let isFull = threads < 1;
  let running: { readonly batches: Batches; readonly taker: Taker; readonly end: () => void } | undefined;
  let next = 0;

  const start = (root: FoundFile["root"]): NonNullable<typeof running> => {
    const batches = createBatches(root);
    for (const file of files) batches.add(file);
    const workers = Array.from({ length: threads }, () => startThread(batches.shared));
    const end = (): void => {
      batches.end();
      for (const worker of workers) void worker.terminate();
    };
    return { batches, taker: createTaker(batches, files, readWhole), end };
  };

  return {
    startedAtMs,
    add(file) {
      const root = files[0]?.root ?? file.root;
      isFull ||= file.root !== root || running?.batches.add(file) === false;
      if (isFull) return;
      files.push(file);
      if (files.length === fewestFiles) running = start(root);
    },
    isOf(wanted) {
      running?.batches.flush();
      const isAll = isFull ? wanted.length >= files.length : wanted.length === files.length;
      return isAll && files.every((file, index) => file === wanted[index]);
    },
    expects: (file) => running !== undefined && files[next] === file,
    take(target, at) {
      next += 1;
      return running?.taker.take(next - 1, target, at);
    },
    end: () => running?.end(),
  };
}

interface Taker {
  /** @param number one more than at the call before */
  take(number: number, target: Buffer, at: number): string | undefined;
}

function createTaker({ shared, count }: Batches, files: readonly FoundFile[], readWhole: ReadWhole): Taker {
  const { firsts, starts, ends, states, sizes, taking, digestBytes } = shared;
  const ring = Buffer.from(shared.ring.buffer);
  const digests = Buffer.from(shared.digests.buffer);
  /** Batches that were read here while another one was waited for. */
  const own = new Map<number, { readonly bytes: Buffer; readonly digests: readonly string[] }>();
  let isTrusted = true;
  let batch = 0;
  /** Of the next file in its batch. */
  let offset = 0;
  /** Whether the batch was found to lie in the ring. */
  let isHere = false;

  const readHere = (number: number): void => {
    const first = firsts[number] as number;
    const target = Buffer.allocUnsafeSlow((ends[number] as number) - (starts[number] as number));
    const found: string[] = [];
    let at = 0;
    for (const file of files.slice(first, firsts[number + 1])) {
      readWhole(file, target, at);
      found.push(hash("sha256", target.subarray(at, at + file.size), "latin1"));
      at += file.size;
    }
    own.set(number, { bytes: target, digests: found });
  };
  /** While a thread still reads what is next, something later is read here, if there is any that no thread has begun. */
  const wait = (): void => {
    const last = Math.min(batch + mostOwn, count());
    for (let later = batch + 1; later < last; later++) {
      if (Atomics.compareExchange(states, later, batchState.open, batchState.left) !== batchState.open) continue;
      try {
        readHere(later);
      } catch {
        // Whoever takes it reads it again and tells.
      }
      return;
    }
    // A thread that does not come back is not waited for; it may yet write where others read.
    if (Atomics.wait(states, batch, batchState.reading, mostWaitMs) === "timed-out") isTrusted = false;
  };
  const isReady = (): boolean => {
    while (isTrusted && Atomics.load(states, batch) === batchState.reading) wait();
    if (!isTrusted) return false;
    return Atomics.compareExchange(states, batch, batchState.open, batchState.left) === batchState.ready;
  };
  const enter = (): void => {
    own.delete(batch);
    batch += 1;
    offset = 0;
    isHere = false;
    Atomics.store(taking, 0, batch);
    Atomics.notify(taking, 0);
  };

  return {
    take(number, target, at) {
      if (number === firsts[batch + 1]) enter();
      const size = sizes[number] as number;
      const from = offset;
      offset += size;
      const mine = own.get(batch);
      if (mine !== undefined) {
        mine.bytes.copy(target, at, from, from + size);
        return mine.digests[number - (firsts[batch] as number)];
      }
      // Threads write to the states beside it: it is not looked at for each file.
      isHere ||= isReady();
      if (!isHere) return undefined;
      const start = ((starts[batch] as number) % ring.byteLength) + from;
      ring.copy(target, at, start, start + size);
      return digests.toString("latin1", number * digestBytes, (number + 1) * digestBytes);
    },
  };
}
