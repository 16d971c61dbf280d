import { OperatorError } from "../errors/operator-error.ts";
import { fromBytePath, isLayerAttribute, type TarEntry, type TarKind } from "./tar-entry.ts";

/** What an archive from outside may ask for at most. */
export interface TarLimits {
  readonly entries: number;
  /** Sum of the contents, in bytes. */
  readonly bytes: number;
}

const defaultTarLimits: TarLimits = { entries: 1_000_000, bytes: 64 * 2 ** 30 };

/**
 * What compressed bytes may become at most, in bytes. Programs and texts compress to a tenth; what becomes a hundred
 * times as much was made to fill a disk.
 */
export function mostUnpackedBytes(compressedBytes: number): number {
  return Math.min(defaultTarLimits.bytes, 256 * 2 ** 20 + 100 * compressedBytes);
}

/** The bytes of an archive. A source that can jump forward in it has `skip`, which need not look whether it is that long. */
export interface TarBytes extends AsyncIterable<Uint8Array> {
  readonly skip?: (bytes: number) => void;
}

/** A member as read. `content` yields its bytes once; what is left unread is skipped. */
export interface TarMember {
  readonly entry: TarEntry;
  /** Where in the archive its bytes begin. */
  readonly offset: number;
  readonly content: () => AsyncGenerator<Buffer>;
}

/** What the kernel takes at most, in bytes. @see path_resolution(7) */
const longestName = 4096;
const longestPart = 255;
const longestPax = 1 << 20;

const kinds: ReadonlyMap<string, TarKind> = new Map([
  ["\0", "file"],
  ["0", "file"],
  ["7", "file"],
  ["1", "hardlink"],
  ["2", "symlink"],
  ["3", "character"],
  ["4", "block"],
  ["5", "directory"],
  ["6", "fifo"],
]);

/**
 * Reads an archive (ustar, pax, GNU long names) that may be hostile, member by member, in memory of a few blocks.
 *
 * @returns in the end, how many bytes were looked at: what follows is padding, or another archive
 * @throws {OperatorError} `VERIFICATION_FAILED` for a wrong check sum, a path that is absolute or has "..", a kind that
 * is not known (sparse files too), an end that comes too early, or more than `limits` allow
 */
export async function* readTar(
  source: TarBytes,
  limits: TarLimits = defaultTarLimits,
): AsyncGenerator<TarMember, number | undefined> {
  const bytes = new ByteReader(source);
  let pax = new Map<string, string>();
  const globals = new Map<string, string>();
  let longPath: string | undefined;
  let longTarget: string | undefined;
  let entries = 0;
  let total = 0;
  try {
    for (;;) {
      const block = await bytes.take(512);
      if (block === undefined) throw refused("it ends without its two zero blocks");
      if (block.every((byte) => byte === 0)) return bytes.position;
      if (!sumHolds(block)) throw refused("a header's check sum is wrong");
      const flag = String.fromCharCode(block[156] ?? 0);
      const written = numberField(block, 124, 12);
      if (flag === "x" || flag === "g") {
        const records = parsePax(await bytes.body(written, longestPax));
        if (flag === "x") pax = records;
        else for (const [key, value] of records) globals.set(key, value);
        continue;
      }
      if (flag === "L" || flag === "K") {
        const name = untilNul(await bytes.body(written, longestName));
        if (flag === "L") longPath = name;
        else longTarget = name;
        continue;
      }
      const flagged = kinds.get(flag);
      if (flagged === undefined) throw refused(`it holds a member of a kind that is not supported ("${flag}")`);
      const record = (key: string): string | undefined => pax.get(key) ?? globals.get(key);
      for (const key of [...pax.keys(), ...globals.keys()])
        if (key.startsWith("GNU.sparse.")) throw refused("it holds a sparse file");
      const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? untilNul(block.subarray(345, 500)) : "";
      const name = untilNul(block.subarray(0, 100));
      const rawPath = record("path") ?? longPath ?? (prefix === "" ? name : `${prefix}/${name}`);
      const path = cleanPath(rawPath);
      const kind = flagged === "file" && rawPath.endsWith("/") ? "directory" : flagged;
      const size = decimal(record("size")) ?? written;
      // Readers disagree on whether bytes follow: one's content would be another's next header.
      if (size > 0 && kind !== "file") throw refused(`it holds a ${kind} that has content`);
      const rawTarget = record("linkpath") ?? longTarget ?? untilNul(block.subarray(157, 257));
      const entry: TarEntry = {
        path,
        kind,
        mode: numberField(block, 100, 8) & 0o7777,
        uid: decimal(record("uid")) ?? numberField(block, 108, 8),
        gid: decimal(record("gid")) ?? numberField(block, 116, 8),
        mtime: wholeSeconds(record("mtime")) ?? numberField(block, 136, 12),
        size,
        target: kind === "hardlink" ? cleanPath(rawTarget) : kind === "symlink" ? rawTarget : "",
        ...attributesIn(pax),
      };
      pax = new Map();
      longPath = longTarget = undefined;
      if (++entries > limits.entries) throw refused(`it has more than ${limits.entries} members`);
      total += size;
      if (total > limits.bytes) throw refused(`it unpacks to more than ${limits.bytes} bytes`);
      let left = size;
      const content = async function* (): AsyncGenerator<Buffer> {
        while (left > 0) {
          const piece = await bytes.some(left);
          if (piece === undefined) throw refused(`it ends within "${fromBytePath(path)}"`);
          left -= piece.byteLength;
          yield piece;
        }
      };
      yield { entry, offset: bytes.position, content };
      left -= bytes.skip(left);
      while (left > 0) {
        const piece = await bytes.some(left);
        if (piece === undefined) throw refused(`it ends within "${fromBytePath(path)}"`);
        left -= piece.byteLength;
      }
      await bytes.body((512 - (size % 512)) % 512, 512, false);
    }
  } finally {
    await bytes.end();
  }
}

class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #skip: ((bytes: number) => void) | undefined;
  #held: Buffer = Buffer.alloc(0);
  #read = 0;

  constructor(source: TarBytes) {
    this.#source = source[Symbol.asyncIterator]();
    this.#skip = source.skip;
  }

  /** How many bytes were taken so far. */
  get position(): number {
    return this.#read - this.#held.byteLength;
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      if (next.value.byteLength === 0) continue;
      this.#read += next.value.byteLength;
      const piece = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      this.#held = this.#held.byteLength === 0 ? piece : Buffer.concat([this.#held, piece]);
      return true;
    }
  }

  /** Jumps over bytes where the source can. @returns how many */
  skip(count: number): number {
    if (this.#skip === undefined || count <= this.#held.byteLength) return 0;
    this.#skip(count - this.#held.byteLength);
    this.#read += count - this.#held.byteLength;
    this.#held = Buffer.alloc(0);
    return count;
  }

  /** Exactly `count` bytes, or undefined at the end of the source. */
  async take(count: number): Promise<Buffer | undefined> {
    while (this.#held.byteLength < count) if (!(await this.#fill())) return undefined;
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** From 1 to `most` bytes. */
  async some(most: number): Promise<Buffer | undefined> {
    if (this.#held.byteLength === 0 && !(await this.#fill())) return undefined;
    const taken = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(taken.byteLength);
    return taken;
  }

  async body(size: number, most: number, padded = true): Promise<Buffer> {
    if (size > most) throw refused(`a header of ${size} bytes is longer than the ${most} taken`);
    const all = await this.take(padded ? Math.ceil(size / 512) * 512 : size);
    if (all === undefined) throw refused("it ends too early");
    return all.subarray(0, size);
  }

  async end(): Promise<void> {
    await this.#source.return?.();
  }
}

/** Whether an archive may begin with these bytes: with a member's header. */
export function isTarHeader(block: Buffer): boolean {
  if (block.byteLength < 512) return false;
  try {
    return sumHolds(block.subarray(0, 512)) && block[0] !== 0;
  } catch {
    return false;
  }
}

function sumHolds(block: Buffer): boolean {
  let sum = 0;
  for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
  return sum === numberField(block, 148, 8);
}

function numberField(block: Buffer, offset: number, width: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) {
    if (first !== 0x80) throw refused("a header holds a negative number");
    let value = 0;
    for (let i = offset + 1; i < offset + width; i++) value = value * 256 + (block[i] ?? 0);
    if (!Number.isSafeInteger(value)) throw refused("a header holds a number that is too large");
    return value;
  }
  const digits = untilNul(block.subarray(offset, offset + width)).trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw refused("a header holds something else than an octal number");
  return Number.parseInt(digits, 8);
}

function decimal(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw refused("a pax header holds something else than a number");
  return number;
}

function wholeSeconds(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = /^-?[0-9]{1,15}(\.[0-9]*)?$/.test(value) ? Math.floor(Number(value)) : Number.NaN;
  if (Number.isNaN(number)) throw refused("a pax header holds something else than a time");
  return number;
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.byteLength : end);
}

function parsePax(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.byteLength;) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? "" : body.toString("latin1", at, Math.min(space, at + 10));
    const length = /^[1-9][0-9]{0,8}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = body.indexOf(0x3d, space);
    if (length === 0 || end > body.byteLength || body[end - 1] !== 0x0a || equals < 0 || equals >= end)
      throw refused("a pax header is malformed");
    records.set(body.toString("latin1", space + 1, equals), body.toString("latin1", equals + 1, end - 1));
    at = end;
  }
  return records;
}

const attributePrefix = "SCHILY.xattr.";

function attributesIn(pax: ReadonlyMap<string, string>): Pick<TarEntry, "attributes"> {
  if (pax.size === 0) return {};
  const attributes: { [name: string]: string } = {};
  for (const [key, value] of pax) {
    const name = key.startsWith(attributePrefix) ? key.slice(attributePrefix.length) : "";
    if (isLayerAttribute(name)) attributes[name] = value;
  }
  return Object.keys(attributes).length === 0 ? {} : { attributes };
}

function cleanPath(raw: string): string {
  if (raw.startsWith("/")) throw refused(`it holds the absolute path "${fromBytePath(raw.slice(0, 200))}"`);
  if (raw.length >= longestName || raw.includes("\0")) throw refused("it holds a path that no file can have");
  const parts = raw.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.some((part) => part.length > longestPart)) throw refused("it holds a name that no file can have");
  if (parts.includes("..")) throw refused(`it holds the path "${fromBytePath(raw.slice(0, 200))}"`);
  return parts.join("/");
}

function refused(state: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot take the archive: ${state}`, {
    hint: "the archive is damaged or made to do harm; get it again from where it came from",
  });
}
