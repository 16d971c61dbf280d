/** A piece of a long JSON text: an object, and the name it has where it is a member of one. */
export interface JsonPiece {
  readonly key: string | null;
  readonly json: Buffer;
}

/** Objects one after another, an array of objects, or one object whose members are objects. */
export type JsonShape = "sequence" | "array" | "members";

/** The text is not what it should be; the message says where. */
export class JsonCutError extends Error {}

const mostDepth = 200;
const mostKeyBytes = 1_000;

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const colon = 0x3a;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

type Place = "start" | "first" | "next" | "separator" | "key" | "colon" | "value" | "piece" | "end";

/**
 * Cuts a JSON text of any length into the objects it is made of, one of which is held at a time. It looks at brackets and quotes only: each
 * piece is still to be parsed.
 */
export class JsonCutter {
  readonly #shape: JsonShape;
  readonly #mostBytes: number;
  #place: Place = "start";
  #key = "";
  #held: Buffer[] = [];
  #heldBytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #offset = 0;

  /** @param mostBytes of a piece */
  constructor(shape: JsonShape, mostBytes: number) {
    this.#shape = shape;
    this.#mostBytes = mostBytes;
    if (shape === "sequence") this.#place = "next";
  }

  /** @throws {JsonCutError} */
  *push(chunk: Buffer): Generator<JsonPiece> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#place === "piece") {
        const end = this.#findEnd(chunk, at);
        this.#hold(chunk.subarray(at, end ?? chunk.length), this.#mostBytes);
        at = end ?? chunk.length;
        if (end !== undefined) yield this.#finishPiece();
      } else if (this.#place === "key") {
        at = this.#readKey(chunk, at);
      } else {
        this.#step(chunk[at] ?? 0, at);
        // The bracket belongs to the piece.
        if ((this.#place as Place) !== "piece") at += 1;
      }
    }
    this.#offset += chunk.length;
  }

  /** @throws {JsonCutError} when the text is not finished */
  end(): void {
    if (this.#place !== "end" && !(this.#shape === "sequence" && this.#place === "next"))
      throw new JsonCutError(`it ends in the middle, after ${this.#offset} bytes`);
  }

  #step(byte: number, at: number): void {
    if (isSpace(byte)) return;
    const isMembers = this.#shape === "members";
    const close = isMembers ? closeBrace : closeBracket;
    switch (this.#place) {
      case "start":
        if (byte === (isMembers ? openBrace : openBracket)) return this.#go("first");
        break;
      case "first":
      case "next":
        if (this.#place === "first" && byte === close) return this.#go("end");
        if (isMembers && byte === quote) return this.#go("key");
        if (!isMembers && byte === openBrace) return this.#go("piece");
        break;
      case "colon":
        if (byte === colon) return this.#go("value");
        break;
      case "value":
        if (byte === openBrace) return this.#go("piece");
        break;
      case "separator":
        if (byte === comma) return this.#go("next");
        if (byte === close) return this.#go("end");
        break;
      default:
    }
    throw new JsonCutError(`byte ${this.#offset + at} is none that JSON of this shape could have there`);
  }

  #go(place: Place): void {
    this.#place = place;
  }

  #readKey(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) {
        this.#hold(chunk.subarray(from, at), mostKeyBytes);
        this.#key = parsed(`"${this.#take().toString("utf8")}"`);
        this.#go("colon");
        return at + 1;
      }
    }
    this.#hold(chunk.subarray(from), mostKeyBytes);
    return chunk.length;
  }

  /** Where the piece ends; undefined: not in this chunk. */
  #findEnd(chunk: Buffer, from: number): number | undefined {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
      } else if (byte === quote) this.#inString = true;
      else if (byte === openBrace || byte === openBracket) {
        this.#depth += 1;
        if (this.#depth > mostDepth) throw new JsonCutError("its objects lie too deep in each other");
      } else if (byte === closeBrace || byte === closeBracket) {
        this.#depth -= 1;
        if (this.#depth === 0) return at + 1;
      } else if (byte === 0) throw new JsonCutError(`byte ${this.#offset + at} is 0, which JSON has not`);
    }
    return undefined;
  }

  #hold(bytes: Buffer, most: number): void {
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > most) throw new JsonCutError(`one entry has more than ${most} bytes`);
    this.#held.push(Buffer.from(bytes));
  }

  #take(): Buffer {
    const all = this.#held.length === 1 && this.#held[0] !== undefined ? this.#held[0] : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }

  #finishPiece(): JsonPiece {
    this.#go(this.#shape === "sequence" ? "next" : "separator");
    return { key: this.#shape === "members" ? this.#key : null, json: this.#take() };
  }
}

function parsed(json: string): string {
  try {
    return JSON.parse(json) as string;
  } catch {
    throw new JsonCutError("the name of a member is no JSON");
  }
}
