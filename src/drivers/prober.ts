import { connect } from "node:net";
import type { Prober, ProbeResult } from "../ports/prober.ts";

/** Most of an answer that is kept, in bytes. */
const mostBytes = 4_096;
/** A time-out is counted in stretches of at most so long, in ms. */
const stretchMs = 250;

/**
 * Probes over TCP with a plain HTTP/1.1 GET on a connection of its own, or with that connection alone.
 *
 * @see RFC 9112, message syntax
 */
export function createProber(): Prober {
  return {
    probe({ address, port, path }, timeoutMs) {
      const began = performance.now();
      return new Promise((resolve) => {
        const socket = connect({ host: address, port });
        let text = "";
        let settled = false;
        const settle = (result: ProbeResult): void => {
          if (settled) return;
          settled = true;
          cancel();
          socket.destroy();
          resolve(result);
        };
        const latencyMs = (): number => performance.now() - began;
        const answered = (): ProbeResult | undefined => {
          const status = /^HTTP\/1\.[01] ([1-5][0-9]{2})[ \r\n]/.exec(text)?.[1];
          if (status === undefined) return undefined;
          const body = text.indexOf("\r\n\r\n");
          return {
            kind: "answered",
            status: Number(status),
            latencyMs: latencyMs(),
            body: body < 0 ? "" : text.slice(body + 4),
          };
        };
        /** The whole answer is there, so a server that keeps the connection open need not be waited for. */
        const complete = (): boolean => {
          const body = text.indexOf("\r\n\r\n");
          if (body < 0) return false;
          const length = /\r\ncontent-length: *([0-9]{1,9})\r\n/i.exec(text.slice(0, body + 2))?.[1];
          return length === undefined ? text.endsWith("\r\n0\r\n\r\n") : text.length - body - 4 >= Number(length);
        };
        const cancel = afterOwnTime(timeoutMs, () => settle(answered() ?? { kind: "timeout", latencyMs: latencyMs() }));
        socket.setEncoding("latin1");
        socket.once("connect", () => {
          if (path === null) return settle({ kind: "accepted", latencyMs: latencyMs() });
          socket.write(
            `GET ${path} HTTP/1.1\r\nHost: ${address}:${port}\r\nUser-Agent: bronze-health\r\nConnection: close\r\n\r\n`,
          );
        });
        socket.on("data", (chunk: string) => {
          text = (text + chunk).slice(0, mostBytes);
          const result = text.length >= mostBytes || complete() ? answered() : undefined;
          if (result !== undefined) settle(result);
        });
        socket.once("end", () => settle(answered() ?? { kind: "reset", latencyMs: latencyMs() }));
        socket.once("error", (error: NodeJS.ErrnoException) => {
          const result = answered();
          if (result !== undefined) return settle(result);
          const kind =
            error.code === "ECONNREFUSED"
              ? "refused"
              : error.code === "ECONNRESET" || error.code === "EPIPE"
                ? "reset"
                : "unreachable";
          settle({ kind, latencyMs: latencyMs() });
        });
      });
    },
  };
}

/**
 * Calls back after a time in which this process could have read an answer. When it is held up, its timers are due
 * before what has arrived meanwhile is read: so each stretch counts once however late it ends, and ends by a look at
 * the sockets. What was slow then is us, not who is asked.
 *
 * @returns the way to cancel
 * @see https://nodejs.org/en/learn/asynchronous-work/event-loop-timers-and-nexttick, phases
 */
function afterOwnTime(ms: number, callback: () => void): () => void {
  let left = Math.max(1, Math.ceil(ms / stretchMs));
  const each = ms / left;
  let immediate: NodeJS.Immediate | undefined;
  const next = (): NodeJS.Timeout =>
    setTimeout(() => {
      immediate = setImmediate(() => {
        left -= 1;
        if (left > 0) timer = next();
        else callback();
      });
    }, each);
  let timer = next();
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}
