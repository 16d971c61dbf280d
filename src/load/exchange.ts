import { connect, type Socket } from "node:net";
import { AnswerReader, headerOf, type Answer } from "./answer.ts";

/** A failure is its reason: a short text that is counted. */
export type Outcome = Answer | string;

export interface ExchangeOptions {
  readonly timeoutMs: number;
  /** The time-out runs from the last byte on, not from the request on. */
  readonly idle?: boolean;
}

/** Opens a connection; resolves with a reason when that fails. Bytes are sent at once, never held together. */
export function open(host: string, port: number, timeoutMs: number): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const timer = setTimeout(() => settle("time-out"), timeoutMs);
    const failed = (error: NodeJS.ErrnoException) => settle(reasonOf(error));
    const settle = (result: Socket | string) => {
      clearTimeout(timer);
      socket.off("error", failed);
      if (typeof result === "string") socket.destroy();
      resolve(result);
    };
    socket.once("error", failed);
    socket.once("connect", () => settle(socket));
  });
}

/** Sends one request and reads its answer. Whatever fails ends as a reason; nothing is asked a second time. */
export function exchange(socket: Socket, request: Buffer, options: ExchangeOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    const reader = new AnswerReader();
    const settle = (outcome: Outcome) => {
      clearTimeout(timer);
      socket.off("data", received).off("error", failed).off("close", closed);
      if (typeof outcome === "string") socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => settle("time-out"), options.timeoutMs);
    const received = (piece: Buffer) => {
      const outcome = reader.push(piece);
      if (outcome !== undefined) settle(outcome);
      else if (options.idle === true) timer.refresh();
    };
    const failed = (error: NodeJS.ErrnoException) => settle(reasonOf(error));
    const closed = () => settle("closed early");
    socket.on("data", received).on("error", failed).on("close", closed);
    if (socket.destroyed) settle("closed early");
    else socket.write(request);
  });
}

/** A connection that is used again while both sides want it; a new one is opened only between two requests. */
export class KeptConnection {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  async ask(request: Buffer, options: ExchangeOptions): Promise<Outcome> {
    if (this.#socket === undefined || this.#socket.destroyed || this.#socket.readableEnded) {
      this.#socket?.destroy();
      const socket = await open(this.#host, this.#port, options.timeoutMs);
      if (typeof socket === "string") return socket;
      // An error while nothing is asked only ends the connection; during a request `exchange` reports it.
      socket.on("error", () => socket.destroy());
      socket.once("end", () => socket.destroy());
      this.#socket = socket;
    }
    const outcome = await exchange(this.#socket, request, options);
    if (typeof outcome !== "string" && headerOf(outcome.head, "connection") === "close") this.close();
    return outcome;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

export function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNRESET" || error.code === "EPIPE") return "reset";
  if (error.code === "ECONNREFUSED") return "refused";
  return error.code ?? error.message;
}
