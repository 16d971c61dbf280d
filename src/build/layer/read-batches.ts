import type { FoundFile } from "./walk.ts";
import { batchState, type Shared } from "./read-thread.ts";

const batchBytes = 256 << 10;
const batchFiles = 64;
const digestBytes = 32;

/** Room for so much is reserved; of what is not used no memory is taken. */
const mostFiles = 100_000;
const mostBatches = 8192;
const nameBytes = 8 << 20;
/** What is read and not yet taken: about as much as is read while a project of 50,000 files is walked. */
const ringBytes = 64 << 20;

/** Files in the order in which they will be taken, announced to threads batch by batch. */
export interface Batches {
  readonly shared: Shared;
  /** @returns false: there is no room for more */
  add(file: FoundFile): boolean;
  /** Announces what was added and not yet announced. */
  flush(): void;
  /** How many are announced. */
  count(): number;
  /** Tells threads that it is over. */
  end(): void;
}

/** @param root that all files are below */
export function createBatches(root: FoundFile["root"]): Batches {
  const bytes = (count: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(count));
  const integers = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * count));
  const naturals = (count: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(4 * count));
  const doubles = (count: number): Float64Array => new Float64Array(new SharedArrayBuffer(8 * count));
  const shared: Shared = {
    root: Buffer.from(root.path).toString("latin1"),
    isAscii: root.isAscii,
    names: bytes(nameBytes),
    sizes: naturals(mostFiles),
    firsts: naturals(mostBatches + 1),
    nameStarts: naturals(mostBatches + 1),
    starts: doubles(mostBatches + 1),
    ends: doubles(mostBatches),
    ring: bytes(ringBytes),
    states: integers(mostBatches),
    announced: integers(1),
    taking: integers(1),
    digests: bytes(mostFiles * digestBytes),
    digestBytes,
  };
  const names = Buffer.from(shared.names.buffer);
  let count = 0;
  let files = 0;
  let nameEnd = 0;
  let end = 0;
  let paths: string[] = [];
  let pathBytes = 0;
  let size = 0;

  const flush = (): void => {
    if (paths.length === 0) return;
    nameEnd += names.write(paths.join("\0"), nameEnd, "latin1");
    // The byte that is asked for beyond the last one needs room too; none lies across the end of the ring.
    const beyond = (end % ringBytes) + size + 1 - ringBytes;
    const start = beyond > 0 ? Math.ceil(end / ringBytes) * ringBytes : end;
    end = start + size + 1;
    shared.starts[count] = start;
    shared.ends[count] = end;
    count += 1;
    shared.firsts[count] = files;
    shared.nameStarts[count] = nameEnd;
    paths = [];
    pathBytes = 0;
    size = 0;
    Atomics.store(shared.announced, 0, count);
    Atomics.notify(shared.announced, 0);
  };

  return {
    shared,
    flush,
    count: () => count,
    end() {
      Atomics.store(shared.announced, 0, -1);
      Atomics.notify(shared.announced, 0);
      // Those who wait for room go on, to find nothing that is left to be read.
      for (let one = 0; one < count; one++)
        Atomics.compareExchange(shared.states, one, batchState.open, batchState.left);
      shared.starts[mostBatches] = Number.POSITIVE_INFINITY;
      Atomics.store(shared.taking, 0, mostBatches);
      Atomics.notify(shared.taking, 0);
    },
    add(file) {
      if (paths.length >= batchFiles || size >= batchBytes) flush();
      const length = file.path.length + 1;
      if (files === mostFiles || count === mostBatches || nameEnd + pathBytes + length > nameBytes) return false;
      shared.sizes[files] = file.size;
      files += 1;
      paths.push(file.path);
      pathBytes += length;
      size += file.size;
      return true;
    },
  };
}
