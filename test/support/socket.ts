import { connect } from "node:net";

/** What a server sent until it closed, was silent for long, or `end` was seen. */
export interface RawAnswer {
  readonly text: string;
  /** The server ended it. */
  readonly closed: boolean;
}

/** Sends bytes to a unix socket as they are and collects the answer; errors of the connection are an end like others. */
export function sendRaw(path: string, bytes: Uint8Array | string, mostMs = 20_000): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = "";
    const done = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed });
    };
    const timer = setTimeout(() => done(false), mostMs);
    socket.on("connect", () => socket.write(bytes));
    socket.on("data", (piece: Buffer) => (text += piece.toString("latin1")));
    socket.on("error", () => done(true));
    socket.on("close", () => done(true));
  });
}

/** One whole request on a connection of its own. */
export function request(method: string, target: string, body = "", headers: readonly string[] = []): string {
  const entity = body === "" ? [] : ["content-type: application/json", `content-length: ${Buffer.byteLength(body)}`];
  const lines = [`${method} ${target} HTTP/1.1`, "host: bronze", "connection: close", ...entity, ...headers];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(text)?.[1] ?? 0);
}

/** The error that an answer carries: of its body, or the last line of a stream. */
export function errorOf(
  text: string,
): { readonly code: string; readonly message: string; readonly hint: string } | undefined {
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  for (const line of body.split("\n").toReversed()) {
    try {
      const { error } = JSON.parse(line) as { readonly error?: { code: string; message: string; hint: string } };
      if (error !== undefined) return error;
    } catch {
      // A chunk's size, or nothing.
    }
  }
  return undefined;
}
