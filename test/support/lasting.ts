import { randomBytes } from "node:crypto";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { open } from "../../src/load/exchange.ts";
import { headerOf } from "../../src/load/answer.ts";
import { clientFrame, opcodes, readFrame } from "../../src/load/websocket.ts";

/** A request that takes its time. */
export interface Lasting {
  readonly kind: "long request" | "stream" | "upload" | "websocket";
  /** What came of it: whether all of it came, and from which instance. */
  readonly end: Promise<{ readonly whole: boolean; readonly instance: string }>;
}

const everyMs = 200;

/** Starts one of each kind on the demo app with `/wait/MS`; each is under way with an instance when this resolves. */
export async function startLasting(url: string, ms: number): Promise<readonly Lasting[]> {
  const all = [
    get(url, "long request", `/wait/${ms}`),
    get(url, "stream", `/stream/${ms}`),
    upload(url, ms),
    await talk(url, ms),
  ];
  // Those that have not had a byte of an answer yet are with an instance by then.
  await sleep(2 * everyMs);
  return all;
}

/** A stream by itself. */
export function startStream(url: string, ms: number): Lasting {
  return get(url, "stream", `/stream/${ms}`);
}

function get(url: string, kind: Lasting["kind"], path: string): Lasting {
  return { kind, end: ask(http.get(new URL(path, url), { agent: false })) };
}

/** A body that comes in pieces over a time. */
function upload(url: string, ms: number): Lasting {
  const path = `/upload/${randomBytes(8).toString("hex")}`;
  const request = http.request(new URL(path, url), { agent: false, method: "POST" });
  const end = ask(request);
  const send = async (): Promise<void> => {
    for (let sent = 0; sent < ms && !request.destroyed; sent += everyMs) {
      request.write(randomBytes(1_000));
      await sleep(everyMs);
    }
    request.end();
  };
  void send();
  return { kind: "upload", end };
}

function ask(request: http.ClientRequest): Lasting["end"] {
  return new Promise((resolve) => {
    request.on("error", () => resolve({ whole: false, instance: "" }));
    request.on("response", (response) => {
      const instance = String(response.headers["x-instance"] ?? "");
      response.resume();
      response.on("end", () => resolve({ whole: response.complete && response.statusCode === 200, instance }));
      response.on("error", () => resolve({ whole: false, instance }));
    });
  });
}

/** A websocket that says something each time it has heard the same, and closes at its end. */
async function talk(url: string, ms: number): Promise<Lasting> {
  const { hostname, port, host } = new URL(url);
  const socket = await open(hostname, Number(port), 5_000);
  if (typeof socket === "string") throw new Error(`the websocket cannot connect: ${socket}`);
  const key = randomBytes(16).toString("base64");
  const asked = `GET /echo HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`;
  const end = new Promise<{ whole: boolean; instance: string }>((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    let instance = "";
    let said = "";
    const endsAt = performance.now() + ms;
    const settle = (whole: boolean): void => {
      socket.destroy();
      resolve({ whole, instance });
    };
    const say = (): void => {
      if (performance.now() >= endsAt) return void socket.write(clientFrame(opcodes.close, Buffer.from([3, 232])));
      said = randomBytes(8).toString("hex");
      socket.write(clientFrame(opcodes.text, said));
    };
    socket.on("data", (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      if (instance === "") {
        const head = received.indexOf("\r\n\r\n");
        if (head < 0) return;
        const text = received.toString("latin1", 0, head);
        instance = headerOf(text, "x-instance") ?? "none";
        if (!text.startsWith("HTTP/1.1 101 ")) return settle(false);
        received = received.subarray(head + 4);
        say();
      }
      for (let frame = readFrame(received); frame !== undefined; frame = readFrame(received)) {
        received = frame.rest;
        if (frame.opcode === opcodes.close) return settle(performance.now() >= endsAt);
        if (frame.payload !== said) return settle(false);
        setTimeout(say, everyMs);
      }
    });
    socket.on("error", () => settle(false));
    socket.on("close", () => settle(false));
    socket.write(asked);
  });
  return { kind: "websocket", end };
}
