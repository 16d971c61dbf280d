import type { BytePath } from "../../image/tar-entry.ts";
import type { SecretValue } from "../options.ts";
import { contentRules, reachAfter, reachBefore, type ContentRule } from "./rules.ts";

/** Where something was found, never what. */
export interface Hit {
  readonly path: BytePath;
  readonly rule: string;
  /** Of the first byte, in the file. */
  readonly offset: number;
}

/** Whether a finding is of a value that was handed to the build, not of a rule. */
export function isValueRule(rule: string): boolean {
  return rule.startsWith(valueRule);
}

const valueRule = "build-secret ";

interface Needle {
  readonly bytes: Buffer;
  /** Either a rule that decides, or the one that the bytes alone prove. */
  readonly rule: ContentRule | string;
}

interface Segment {
  readonly path: BytePath;
  readonly start: number;
  end: number;
  /** Of `start`, in the file. */
  readonly fileOffset: number;
  complete: boolean;
}

const batchBytes = 1 << 20;
const separator = 0x0a;

/** Shorter values are in every file. */
export const leastValueBytes = 8;
const longestNeedle = 200;
/** Needles within so many bytes of each other are looked at together. */
const spanBytes = 256;

const ruleNeedles: readonly Needle[] = contentRules.flatMap((rule) =>
  rule.anchors.map((anchor) => ({
    bytes: Buffer.from(anchor, "latin1"),
    rule,
  })),
);

/** A value, and how programs write it down. */
function valueNeedles({ id, value }: SecretValue): readonly Needle[] {
  const bytes = trimmed(Buffer.from(value));
  if (bytes.byteLength < leastValueBytes) return [];
  const escaped = encodeURIComponent(bytes.toString("utf8"));
  const forms = [bytes, Buffer.from(bytes.toString("hex")), Buffer.from(escaped), ...base64Forms(bytes)];
  return forms.map((form) => ({ bytes: middleOf(form), rule: `${valueRule}${id}` }));
}

function trimmed(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("latin1").trim(), "latin1");
}

/** What the value looks like inside of longer base64: three forms, by how many bytes stand before it. */
function base64Forms(bytes: Buffer): readonly Buffer[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    // Characters that also depend on neighbours are left out.
    const end = (before + bytes.byteLength) % 3 === 0 ? text.length : text.length - 1;
    return Buffer.from(text.slice(before === 0 ? 0 : before + 1, end));
  });
}

/** Of a long value its middle: its beginning may be what all of its kind have. */
function middleOf(bytes: Buffer): Buffer {
  if (bytes.byteLength <= longestNeedle) return bytes;
  const from = (bytes.byteLength - longestNeedle) >> 1;
  return bytes.subarray(from, from + longestNeedle);
}

/**
 * Finds secrets in contents that are handed over piece by piece, many small files at a time: what is searched for is
 * looked up in a MiB at once, and a rule's pattern is tried only around what was found.
 */
export class SecretScanner {
  readonly #needles: readonly Needle[];
  readonly #batch: Buffer;
  readonly #found: (hit: Hit) => void;
  #used = 0;
  /** Needles that begin before were looked at. */
  #from = 0;
  #segments: Segment[] = [];

  /**
   * @param found called for every hit, also for several in one file
   * @param capacity bytes that are looked at at once; less saves the memory where all there is has a byte less
   */
  constructor(
    wanted: { readonly rules: boolean; readonly values: readonly SecretValue[] },
    found: (hit: Hit) => void,
    capacity = batchBytes,
  ) {
    this.#batch = Buffer.allocUnsafe(capacity);
    this.#needles = [...(wanted.rules ? ruleNeedles : []), ...wanted.values.flatMap(valueNeedles)];
    this.#found = found;
  }

  /** A piece of a file, from its first byte to its last without a gap. */
  add(path: BytePath, offset: number, piece: Uint8Array): void {
    for (let at = 0; at < piece.byteLength;) {
      if (this.#used === this.#batch.byteLength) this.#scan(false);
      const count = Math.min(piece.byteLength - at, this.#batch.byteLength - this.#used);
      this.#batch.set(piece.subarray(at, at + count), this.#used);
      const last = this.#segments.at(-1);
      if (last !== undefined && !last.complete) last.end += count;
      else
        this.#segments.push({
          path,
          start: this.#used,
          end: this.#used + count,
          fileOffset: offset + at,
          complete: false,
        });
      this.#used += count;
      at += count;
    }
  }

  endFile(): void {
    const last = this.#segments.at(-1);
    if (last === undefined || last.complete) return;
    last.complete = true;
    if (this.#used === this.#batch.byteLength) this.#scan(true);
    else this.#batch[this.#used++] = separator;
  }

  /** Looks at what is left. */
  end(): void {
    this.#scan(true);
  }

  #scan(all: boolean): void {
    const last = this.#segments.at(-1);
    const goesOn = !all && last !== undefined && !last.complete;
    // What may reach beyond the batch is looked at with the next one.
    const until = goesOn ? Math.max(last.start, this.#used - reachAfter) : this.#used;
    const batch = this.#batch.subarray(0, this.#used);
    const counts = countBytes(batch);
    for (const needle of this.#needles) {
      if (isRarerAtEnd(needle.bytes, counts)) {
        let next = this.#from;
        for (const at of positionsFromEnd(batch, needle.bytes, this.#from, until))
          if (at >= next) next = this.#look(needle, at, until);
        continue;
      }
      let at = batch.indexOf(needle.bytes, this.#from);
      while (at >= 0 && at < until) at = batch.indexOf(needle.bytes, this.#look(needle, at, until));
    }
    if (!goesOn) {
      this.#used = this.#from = 0;
      this.#segments = [];
      return;
    }
    const keptFrom = Math.max(last.start, until - reachBefore);
    this.#batch.copyWithin(0, keptFrom, this.#used);
    this.#segments = [
      {
        path: last.path,
        start: 0,
        end: this.#used - keptFrom,
        fileOffset: last.fileOffset + keptFrom - last.start,
        complete: false,
      },
    ];
    this.#used -= keptFrom;
    this.#from = until - keptFrom;
  }

  /**
   * Looks at what is around a needle, and around those that follow closely: a file may hold nothing else than needles.
   *
   * @returns where the next one is to be looked for
   */
  #look({ bytes, rule }: Needle, at: number, until: number): number {
    const segment = this.#segmentAt(at);
    if (segment === undefined || at + bytes.byteLength > segment.end) return at + 1;
    const found = (name: string, begins: number): void =>
      this.#found({ path: segment.path, rule: name, offset: segment.fileOffset + begins - segment.start });
    if (typeof rule === "string") {
      found(rule, at);
      return at + bytes.byteLength;
    }
    const covered = Math.min(at + spanBytes, until, segment.end);
    const start = Math.max(segment.start, at - reachBefore);
    const near = this.#batch.toString("latin1", start, Math.min(segment.end, covered + reachAfter));
    for (const match of near.matchAll(rule.pattern)) {
      const begins = start + match.index;
      // What begins later is not seen whole, and gets its own look.
      if (begins >= covered) break;
      if (rule.isReal?.(match[0], match[1] ?? "") !== false) found(rule.id, begins);
    }
    return covered;
  }

  #segmentAt(at: number): Segment | undefined {
    let [low, high] = [0, this.#segments.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#segments[middle]?.start ?? 0) <= at) low = middle;
      else high = middle;
    }
    return this.#segments[low];
  }
}

/** How often each byte is among some of the bytes. */
function countBytes(batch: Buffer): Uint32Array {
  const counts = new Uint32Array(256);
  for (let at = 0; at < batch.byteLength; at += 61) {
    const byte = batch[at] ?? 0;
    counts[byte] = (counts[byte] ?? 0) + 1;
  }
  return counts;
}

/** A search looks for the first byte in its direction before it compares the others: a rare one makes it many times faster. */
function isRarerAtEnd(needle: Buffer, counts: Uint32Array): boolean {
  return (counts[needle.at(-1) ?? 0] ?? 0) * 1.5 < (counts[needle[0] ?? 0] ?? 0);
}

/** Where a needle is from `from` to before `until`, in order, found beginning with the last. */
function positionsFromEnd(batch: Buffer, needle: Buffer, from: number, until: number): readonly number[] {
  const found: number[] = [];
  for (let at = until - 1; at >= from; at -= 1) {
    at = batch.lastIndexOf(needle, at);
    if (at < from) break;
    found.push(at);
  }
  return found.reverse();
}

/** The rules that a short text breaks: of the history, a variable, an argument. */
export function scanText(text: string, values: readonly SecretValue[]): readonly string[] {
  const rules = new Set<string>();
  const bytes = Buffer.from(text);
  const capacity = Math.min(batchBytes, bytes.byteLength + 1);
  const scanner = new SecretScanner({ rules: true, values }, ({ rule }) => rules.add(rule), capacity);
  scanner.add("", 0, bytes);
  scanner.endFile();
  scanner.end();
  return [...rules].sort();
}
