import { connect, type Socket } from "node:net";
import { fromErrorRecord, OperatorError, type ErrorRecord } from "../errors/operator-error.ts";
import { ResponseReader } from "./http-response.ts";

type Query = { readonly [name: string]: string | number | undefined };

/** The daemon's API, as `src/model/api/asked.ts` describes it. One connection a call; no `node:http`, which costs 30 ms to load. */
export interface ApiClient {
  get<Reply>(path: string, query?: Query, signal?: AbortSignal): Promise<Reply>;
  /** Lines of a streamed answer as they arrive. @throws {ConnectionLost} when it breaks off before its end */
  stream<Line>(
    method: "GET" | "POST",
    path: string,
    send: { readonly query?: Query; readonly body?: unknown },
    signal?: AbortSignal,
  ): AsyncGenerator<Line, void, undefined>;
}

/** The daemon went away while it answered; what was asked may go on. */
export class ConnectionLost extends OperatorError {
  /** Whether the daemon had begun to answer: it does so before it begins to work. */
  readonly isBegun: boolean;

  constructor(isBegun: boolean, cause?: unknown) {
    super("DAEMON_UNREACHABLE", "Cannot get the daemon's answer: the connection to it broke off", {
      hint: "it ended, or was killed; `bronze status` tells what holds now, then run the command again",
      ...(cause === undefined ? {} : { cause }),
    });
    this.name = "ConnectionLost";
    this.isBegun = isBegun;
  }
}

const maxReplyBytes = 256 * 1024 * 1024;

/**
 * @param socketPath the daemon's unix socket, `placesOf(stateDir).socket`
 * @param onAsked called when the daemon is about to be asked for something that it may do by itself from then on
 */
export function createApiClient(socketPath: string, onAsked: () => void = () => {}): ApiClient {
  async function* open(
    method: string,
    path: string,
    query: Query,
    body: unknown,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer, void, undefined> {
    const socket = await dial(socketPath, signal);
    const reader = new ResponseReader();
    try {
      if (method === "POST") onAsked();
      socket.write(requestBytes(method, path, query, body));
      const early: Buffer[] = [];
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        for (const part of reader.push(chunk)) {
          if (reader.status < 400) yield part;
          else early.push(part);
        }
        if (reader.done) break;
      }
      if (!reader.end()) throw new ConnectionLost(reader.begun);
      if (reader.status >= 400) throw errorReply(reader.status, Buffer.concat(early).toString());
    } catch (thrown) {
      if (signal?.aborted === true) throw signal.reason;
      if (thrown instanceof Error && "code" in thrown && (thrown.code === "ECONNRESET" || thrown.code === "EPIPE"))
        throw new ConnectionLost(reader.begun, thrown);
      throw thrown;
    } finally {
      socket.destroy();
    }
  }

  return {
    async get<Reply>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Reply> {
      const parts: Buffer[] = [];
      let size = 0;
      for await (const part of open("GET", path, query, undefined, signal)) {
        parts.push(part);
        size += part.length;
        if (size > maxReplyBytes) throw new Error("the daemon's answer is larger than 256 MiB");
      }
      return JSON.parse(Buffer.concat(parts).toString()) as Reply;
    },
    async *stream<Line>(
      method: "GET" | "POST",
      path: string,
      send: { readonly query?: Query; readonly body?: unknown },
      signal?: AbortSignal,
    ) {
      let rest = "";
      const decoder = new TextDecoder();
      for await (const part of open(method, path, send.query ?? {}, send.body, signal)) {
        const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line !== "") yield JSON.parse(line) as Line;
      }
      if (rest !== "") yield JSON.parse(rest) as Line;
    },
  };
}

function dial(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, ...(signal === undefined ? {} : { signal }) });
    const refused = (cause: Error): void => reject(signal?.aborted === true ? signal.reason : unreachable(path, cause));
    socket.once("error", refused);
    socket.once("connect", () => {
      socket.off("error", refused);
      resolve(socket);
    });
  });
}

/** Whether no daemon answered, or none to the end. */
export function isUnreachable(thrown: unknown): thrown is OperatorError {
  return thrown instanceof OperatorError && thrown.code === "DAEMON_UNREACHABLE";
}

/** The daemon does not answer at all. */
function unreachable(path: string, cause: Error): OperatorError {
  const denied = "code" in cause && cause.code === "EACCES";
  return new OperatorError(
    "DAEMON_UNREACHABLE",
    `Cannot reach the daemon on "${path}": ${denied ? "access is denied" : "nothing listens there"}`,
    {
      hint: denied
        ? "run as root, or as a member of the group bronze"
        : "`bronze up` starts it with an app, `bronze serve` by itself; another state folder is named by --state DIR",
      cause,
    },
  );
}

function requestBytes(method: string, path: string, query: Query, body: unknown): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  );
  const text = body === undefined ? "" : JSON.stringify(body);
  const target = pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
  const entity =
    body === undefined ? "" : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n`;
  return `${method} ${target} HTTP/1.1\r\nhost: bronze\r\nconnection: close\r\n${entity}\r\n${text}`;
}

function errorReply(status: number, text: string): OperatorError {
  let record: ErrorRecord | undefined;
  try {
    record = (JSON.parse(text) as { readonly error?: ErrorRecord }).error;
  } catch {
    // Said below: the answer is not what this version understands.
  }
  if (typeof record === "object") return fromErrorRecord(record);
  // Its server ends, and says so by itself: nothing was taken.
  if (status === 503) return new ConnectionLost(false);
  return new OperatorError("INTERNAL", `Cannot use the daemon's answer: status ${status} without an error in it`, {
    hint: "the daemon may be of another version; end it with `bronze down --all` and start again",
    cause: text.slice(0, 500),
  });
}
