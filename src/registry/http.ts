import { request as plainRequest, type Agent, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { request as tlsRequest } from "node:https";
import type { Readable } from "node:stream";
import { Passing } from "./refusals.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH";
  readonly headers: { readonly [name: string]: string };
  /** A stream's length is in `content-length`. */
  readonly body?: Uint8Array | Readable;
  readonly agent: Agent;
  /** Without a byte in either direction for so long, in ms, a connection counts as broken. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer extends Pick<HttpRequest, "patienceMs"> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

/** A body that brings fewer bytes in that time counts as broken too: a trickle could go on for ever. */
const leastBytes = 65_536;

/** A connection that we gave up; it was not broken by others. */
class Stall extends Error {}

/**
 * One exchange on the wire; redirects and statuses are the caller's.
 *
 * @throws {Passing} for connections that fail or break, the signal's reason
 */
export function exchange(url: URL, options: HttpRequest): Promise<HttpAnswer> {
  const { method, headers, body, agent, patienceMs, signal } = options;
  return new Promise((resolve, reject) => {
    const open = url.protocol === "https:" ? tlsRequest : plainRequest;
    const request = open(url, { method, headers, agent, signal, timeout: patienceMs });
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : passing(error));
    request.once("timeout", () => request.destroy(new Stall(`no byte for ${patienceMs / 1000} s`)));
    request.once("error", fail);
    request.once("response", (answer) =>
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer, patienceMs }),
    );
    if (body === undefined || body instanceof Uint8Array) request.end(body);
    else {
      body.once("error", (error) => request.destroy(error));
      // A body that nobody reads any more is not sent any more.
      request.once("close", () => body.destroy());
      body.pipe(request);
    }
  });
}

/**
 * The pieces of a body, at most so many bytes of it.
 *
 * @throws {RangeError} beyond `most`, {Passing} when the connection breaks
 */
export async function* bodyOf(answer: HttpAnswer, most: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  let total = 0;
  let atLastLook = 0;
  const pace = setInterval(() => {
    if (total - atLastLook < leastBytes)
      answer.body.destroy(new Stall(`less than ${leastBytes} bytes in ${answer.patienceMs / 1000} s`));
    atLastLook = total;
  }, answer.patienceMs);
  try {
    for await (const piece of answer.body as AsyncIterable<Buffer>) {
      total += piece.byteLength;
      if (total > most) throw new RangeError(`more than ${most} bytes`);
      yield piece;
    }
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw signal.aborted ? signal.reason : passing(error);
  } finally {
    clearInterval(pace);
    answer.body.destroy();
  }
}

/** A whole body in memory. @throws {RangeError} beyond `most` bytes, {Passing} */
export async function readBody(answer: HttpAnswer, most: number, signal: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bodyOf(answer, most, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Ends with a body that nobody wants; a short one lets its connection be used again. */
export function dropBody({ headers, body }: HttpAnswer): void {
  body.on("error", () => undefined);
  if (Number(headers["content-length"] ?? 0) <= 65_536 && headers["transfer-encoding"] === undefined) body.resume();
  else body.destroy();
}

/** Whether a failure is that a registry was too slow. */
export function isStall(error: unknown): boolean {
  return error instanceof Passing && error.cause instanceof Stall;
}

function passing(error: unknown): Passing {
  const { code } = error as NodeJS.ErrnoException;
  const message = error instanceof Error && error.message !== "" ? error.message : String(code ?? error);
  return new Passing(message, undefined, error);
}
