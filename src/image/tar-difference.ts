import { shorten, type Difference } from "./difference.ts";
import { compareEntries, type BytePath, type TarEntry } from "./tar-entry.ts";
import { readTar, type TarMember } from "./tar-read.ts";

/** Header fields, in the order in which differences are told. */
const headerFields = ["kind", "mode", "uid", "gid", "mtime", "target", "size"] as const;

/**
 * Where two archives differ, member by member, in memory of a few blocks. Both have their members in order, as all
 * layers that are built here; where one has not, that is told and nothing after it.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` for bytes that are no archive
 */
export async function* diffTars(
  first: AsyncIterable<Uint8Array>,
  second: AsyncIterable<Uint8Array>,
): AsyncGenerator<Difference> {
  const left = readTar(first);
  const right = readTar(second);
  try {
    let before: BytePath | undefined;
    let [one, two] = [await nextOf(left), await nextOf(right)];
    while (one !== undefined || two !== undefined) {
      const order = orderOf(one, two);
      const path = (order <= 0 ? one : two)?.entry.path ?? "";
      if (before !== undefined && compareEntries({ path: before }, { path }) > 0) {
        yield { path, field: "order", first: shorten(before), second: "comes before it by its bytes" };
        return;
      }
      before = path;
      if (order < 0 && one !== undefined)
        yield { path, field: "presence", first: describeEntry(one.entry), second: "absent" };
      if (order > 0 && two !== undefined)
        yield { path, field: "presence", first: "absent", second: describeEntry(two.entry) };
      if (order === 0 && one !== undefined && two !== undefined) yield* diffMembers(one, two);
      if (order <= 0) one = await nextOf(left);
      if (order >= 0) two = await nextOf(right);
    }
  } finally {
    await left.return(undefined);
    await right.return(undefined);
  }
}

/** The first byte in which two streams differ; undefined where there is none. */
export async function diffBytes(
  first: AsyncIterable<Uint8Array>,
  second: AsyncIterable<Uint8Array>,
): Promise<number | undefined> {
  return (await compareContents(first, second))?.offset;
}

async function nextOf(members: AsyncGenerator<TarMember>): Promise<TarMember | undefined> {
  const next = await members.next();
  return next.done === true ? undefined : next.value;
}

function orderOf(one: TarMember | undefined, two: TarMember | undefined): number {
  if (one === undefined) return 1;
  return two === undefined ? -1 : compareEntries(one.entry, two.entry);
}

function describeEntry(entry: TarEntry): string {
  return `${entry.kind}, mode ${entry.mode.toString(8)}, ${entry.size} bytes`;
}

async function* diffMembers(one: TarMember, two: TarMember): AsyncGenerator<Difference> {
  const { path } = one.entry;
  for (const field of headerFields) {
    const [first, second] = [one.entry[field], two.entry[field]];
    if (first !== second) yield { path, field, first: show(field, first), second: show(field, second) };
  }
  const [mine = {}, theirs = {}] = [one.entry.attributes, two.entry.attributes];
  for (const name of [...new Set([...Object.keys(mine), ...Object.keys(theirs)])].sort()) {
    const [first, second] = [mine, theirs].map(
      (has) => `${name} ${has[name] === undefined ? "absent" : hex(has[name])}`,
    );
    if (first !== undefined && second !== undefined && first !== second)
      yield { path, field: "attributes", first: shorten(first), second: shorten(second) };
  }
  if (one.entry.kind !== "file" || two.entry.kind !== "file") return;
  const content = await compareContents(one.content(), two.content());
  if (content !== undefined) yield { path, field: "content", ...content };
}

function hex(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("hex");
}

function show(field: (typeof headerFields)[number], value: string | number): string {
  if (field === "mode") return Number(value).toString(8);
  // A time that no Date can hold is a damaged one, and still a value to tell of.
  if (field === "mtime" && Number(value) <= 8.64e12) return new Date(Number(value) * 1000).toISOString();
  return shorten(String(value));
}

const newline = 0x0a;
/** Of a line around a difference, in bytes. */
const mostLine = 400;

type ContentDifference = Pick<Difference, "first" | "second" | "offset" | "line">;

async function compareContents(
  first: AsyncIterable<Uint8Array>,
  second: AsyncIterable<Uint8Array>,
): Promise<ContentDifference | undefined> {
  const left = first[Symbol.asyncIterator]();
  const right = second[Symbol.asyncIterator]();
  let [one, two]: [Buffer | undefined, Buffer | undefined] = [await pieceOf(left), await pieceOf(right)];
  let offset = 0;
  let line = 1;
  /** The equal beginning of the line that the comparison is in. */
  let head: Buffer = Buffer.alloc(0);
  while (one !== undefined && two !== undefined) {
    const length = Math.min(one.byteLength, two.byteLength);
    const equal = firstDifference(one, two, length);
    const same = one.subarray(0, equal);
    for (let at = same.indexOf(newline); at >= 0; at = same.indexOf(newline, at + 1)) line += 1;
    const start = same.lastIndexOf(newline) + 1;
    head = Buffer.concat([start > 0 ? head.subarray(0, 0) : head, same.subarray(start)]).subarray(-mostLine);
    offset += equal;
    if (equal < length) break;
    one = one.byteLength > length ? one.subarray(length) : await pieceOf(left);
    two = two.byteLength > length ? two.subarray(length) : await pieceOf(right);
    if (one !== undefined && two !== undefined) continue;
    if (one === two) return undefined;
    break;
  }
  if (one === two) return undefined;
  const [oneAt, twoAt] = [tailOf(one, two), tailOf(two, one)];
  const isText = ![head, oneAt, twoAt].some((bytes) => bytes?.includes(0) === true);
  const show = (bytes: Buffer | undefined): string => {
    if (bytes === undefined) return "end of file";
    return isText ? shorten(Buffer.concat([head, lineOf(bytes)]).toString("utf8")) : bytes.toString("hex", 0, 16);
  };
  return { first: show(oneAt), second: show(twoAt), offset, ...(isText ? { line } : {}) };
}

/** What is left of a piece from the first byte that differs from the other's. */
function tailOf(piece: Buffer | undefined, other: Buffer | undefined): Buffer | undefined {
  if (piece === undefined || other === undefined) return piece?.subarray(0, mostLine);
  const from = firstDifference(piece, other, Math.min(piece.byteLength, other.byteLength));
  return piece.subarray(from, from + mostLine);
}

function lineOf(bytes: Buffer): Buffer {
  const end = bytes.indexOf(newline);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Index of the first byte that differs among the first `length`; `length` where there is none. */
function firstDifference(one: Buffer, two: Buffer, length: number): number {
  if (one.compare(two, 0, length, 0, length) === 0) return length;
  let [low, high] = [0, length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (one.compare(two, low, middle, low, middle) === 0) low = middle;
    else high = middle;
  }
  return low;
}

async function pieceOf(pieces: AsyncIterator<Uint8Array>): Promise<Buffer | undefined> {
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) return undefined;
    if (next.value.byteLength > 0) return Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
  }
}
