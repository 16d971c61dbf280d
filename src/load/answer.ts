import { hash } from "node:crypto";
import { sealBytes } from "./protocol.ts";

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
}

const maxHeadBytes = 16_384;
const maxBodyBytes = 4_194_304;

/** Reads one HTTP/1.1 response from pieces as they come; made anew for each response. */
export class AnswerReader {
  #received: Buffer = Buffer.alloc(0);
  #head: string | undefined;
  #status = 0;
  #bodyStart = 0;
  #length = -1;

  /** @returns the answer when it is whole, undefined while more must come, text that names what is wrong with it */
  push(piece: Buffer): Answer | string | undefined {
    this.#received = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece]);
    if (this.#head === undefined) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return this.#received.length > maxHeadBytes ? "head too long" : undefined;
      this.#head = this.#received.toString("latin1", 0, end);
      this.#bodyStart = end + 4;
      this.#status = Number(this.#head.slice(9, 12));
      if (!this.#head.startsWith("HTTP/1.") || !(this.#status >= 100)) return "not HTTP";
      this.#length = Number(headerOf(this.#head, "content-length") ?? -1);
      if (this.#length < 0 && headerOf(this.#head, "transfer-encoding") !== "chunked") return "no length";
    }
    if (this.#received.length > maxBodyBytes) return "body too long";
    if (this.#length < 0) return this.#chunked();
    const there = this.#received.length - this.#bodyStart;
    if (there < this.#length) return undefined;
    if (there > this.#length) return "body too long";
    return { status: this.#status, head: this.#head, body: this.#received.subarray(this.#bodyStart) };
  }

  #chunked(): Answer | string | undefined {
    // The last chunk and the empty trailer end every chunked body; only then is it worth walking.
    if (this.#received.length < 5 || this.#received.subarray(-5).toString("latin1") !== "0\r\n\r\n") return undefined;
    const pieces: Buffer[] = [];
    let at = this.#bodyStart;
    for (;;) {
      const lineEnd = this.#received.indexOf("\r\n", at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(this.#received.toString("latin1", at, lineEnd), 16);
      if (!(size >= 0)) return "broken chunk";
      const start = lineEnd + 2;
      if (size === 0) {
        return { status: this.#status, head: this.#head ?? "", body: Buffer.concat(pieces) };
      }
      if (start + size + 2 > this.#received.length) return undefined;
      pieces.push(this.#received.subarray(start, start + size));
      at = start + size + 2;
    }
  }
}

/** @returns the value of a header (name in lower case) in a response's head, in lower case; undefined when absent */
export function headerOf(head: string, name: string): string | undefined {
  const lower = head.toLowerCase();
  const at = lower.indexOf(`\r\n${name}:`);
  if (at < 0) return undefined;
  const start = at + name.length + 3;
  const end = lower.indexOf("\r\n", start);
  return lower.slice(start, end < 0 ? undefined : end).trim();
}

/** @returns undefined for a right answer, else why it is wrong: status, or a body that its seal does not confirm */
export function faultOf(answer: Answer, wanted = 200): string | undefined {
  if (answer.status !== wanted) return `status ${answer.status}`;
  const { body } = answer;
  if (body.length < sealBytes) return "short body";
  const text = body.subarray(0, body.length - sealBytes);
  return hash("sha256", text) === body.toString("latin1", body.length - sealBytes) ? undefined : "wrong body";
}
