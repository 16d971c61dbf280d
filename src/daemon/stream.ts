import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { asOperatorError } from "../errors/operator-error.ts";
import type { StreamLine } from "../model/api/asked.ts";

/** What a client may leave unread, in bytes; whole lines of a log count too. */
const mostUnread = 8 * 1024 * 1024;

/** Writes one line of newline-delimited JSON. */
function writeLine(response: ServerResponse, line: unknown): void {
  if (response.writableEnded || response.destroyed) return;
  response.write(`${JSON.stringify(line)}\n`);
  // A client that reads nothing must not fill the daemon's memory; the work goes on without it.
  if (response.writableLength > mostUnread) response.destroy();
}

/**
 * Answers a request with progress lines and then its result or error. The work goes on when the client goes away: what
 * was asked for is already recorded.
 */
export async function streamWork<Result>(
  reply: FastifyReply,
  work: (progress: (line: Omit<Extract<StreamLine<Result>, { kind: "progress" }>, "kind">) => void) => Promise<Result>,
): Promise<void> {
  const response = takeOver(reply);
  try {
    const result = await work((line) => writeLine(response, { kind: "progress", ...line }));
    writeLine(response, { kind: "result", result });
  } catch (error) {
    writeLine(response, { kind: "error", error: asOperatorError(error).toJSON() });
  }
  response.end();
}

/** Answers with lines until the source ends or the client goes away. */
export async function streamLines(
  reply: FastifyReply,
  open: (signal: AbortSignal) => AsyncIterable<unknown>,
): Promise<void> {
  const response = takeOver(reply);
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    for await (const line of open(gone.signal)) {
      writeLine(response, line);
      if (response.writableNeedDrain) await drained(response, gone.signal);
      if (gone.signal.aborted) break;
    }
  } catch (error) {
    if (!gone.signal.aborted) writeLine(response, { kind: "error", error: asOperatorError(error).toJSON() });
  }
  response.end();
}

function takeOver(reply: FastifyReply): ServerResponse {
  reply.hijack();
  reply.raw.writeHead(200, { "content-type": "application/x-ndjson" });
  reply.raw.flushHeaders();
  return reply.raw;
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
