/** Reads one HTTP/1.1 response as it arrives: status, headers, body by length, by chunks or until the end. */
export class ResponseReader {
  status = 0;
  headers: ReadonlyMap<string, string> = new Map();
  /** The head is complete. */
  begun = false;
  /** The body is complete. */
  done = false;
  #pending: Buffer = Buffer.alloc(0);
  #left = 0;
  #framing: "length" | "chunked" | "end" = "end";
  #afterChunk = false;

  /** @returns the parts of the body that `bytes` completed @throws {Error} when it is not HTTP */
  push(bytes: Buffer): readonly Buffer[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (!this.begun && !this.#readHead()) return [];
    const parts: Buffer[] = [];
    while (!this.done) {
      const part = this.#readPart();
      if (part === undefined) break;
      if (part.length > 0) parts.push(part);
    }
    return parts;
  }

  /** The connection ended. @returns false when the response was cut off */
  end(): boolean {
    if (this.begun && this.#framing === "end") this.done = true;
    return this.done;
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#pending.length > 65_536) throw new Error("the response's head is longer than 64 KiB");
      return false;
    }
    const [first = "", ...lines] = this.#pending.subarray(0, end).toString("latin1").split("\r\n");
    const status = /^HTTP\/1\.[01] ([1-5][0-9]{2})( |$)/.exec(first)?.[1];
    if (status === undefined) throw new Error("the answer is not HTTP");
    this.#pending = this.#pending.subarray(end + 4);
    if (status.startsWith("1")) return this.#readHead();
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    this.status = Number(status);
    this.headers = headers;
    this.begun = true;
    const length = headers.get("content-length");
    if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") this.#framing = "chunked";
    else if (length !== undefined) {
      this.#framing = "length";
      this.#left = Number(length);
      if (!/^[0-9]{1,15}$/.test(length)) throw new Error("the response's length is not a number");
    }
    if (this.status === 204 || (this.#framing === "length" && this.#left === 0)) this.done = true;
    return true;
  }

  #readPart(): Buffer | undefined {
    if (this.#framing === "chunked" && this.#left === 0 && !this.#readChunkSize()) return undefined;
    if (this.done || this.#pending.length === 0) return undefined;
    const size = this.#framing === "end" ? this.#pending.length : Math.min(this.#left, this.#pending.length);
    const part = this.#pending.subarray(0, size);
    this.#pending = this.#pending.subarray(size);
    if (this.#framing !== "end") this.#left -= size;
    if (this.#framing === "length" && this.#left === 0) this.done = true;
    return part;
  }

  #readChunkSize(): boolean {
    const skip = this.#afterChunk ? 2 : 0;
    const end = this.#pending.indexOf("\r\n", skip);
    if (end < 0) return false;
    const text = this.#pending.subarray(skip, end).toString("latin1");
    if (!/^[0-9a-fA-F]{1,8}(;.*)?$/.test(text)) throw new Error("a chunk's size is not a number");
    this.#left = Number.parseInt(text, 16);
    this.#pending = this.#pending.subarray(end + 2);
    this.#afterChunk = true;
    if (this.#left === 0) this.done = true;
    return !this.done;
  }
}
