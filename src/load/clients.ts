import { hash, randomBytes } from "node:crypto";
import { faultOf, headerOf } from "./answer.ts";
import { exchange, KeptConnection, open, reasonOf, type Outcome } from "./exchange.ts";
import { paths, type Kind, type LoadConfig } from "./protocol.ts";
import { acceptOf, clientFrame, opcodes, readFrame } from "./websocket.ts";

/** What became of one request. */
export interface Done {
  /** Undefined: answered rightly. */
  readonly fault: string | undefined;
  /** `x-version` of the answer, where one came. */
  readonly version: string | undefined;
  readonly instance: string | undefined;
  /** Of an upload. */
  readonly nonce?: string;
}

/** One client of a kind: each call is one request, each a client's own connection handling. */
export interface Client {
  ask(): Promise<Done>;
  close(): void;
}

/** Makes a client of a kind. No client ever asks anything a second time. */
export function createClient(kind: Kind, config: LoadConfig): Client {
  switch (kind) {
    case "keep-alive":
      return kept(config, get(config, paths.page));
    case "slow response":
      return kept(config, get(config, paths.slow));
    case "stream":
      return kept(config, get(config, paths.stream + config.lastingMs), true);
    case "new connection":
      return { ask: () => askAnew(config), close: () => {} };
    case "upload":
      return uploader(config);
    case "websocket":
      return { ask: () => talk(config), close: () => {} };
  }
}

function get(config: LoadConfig, path: string, more = ""): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${config.hostHeader}\r\n${more}\r\n`);
}

function kept(config: LoadConfig, request: Buffer, idle = false): Client {
  const connection = new KeptConnection(config.host, config.port);
  return {
    ask: async () => judge(await connection.ask(request, { timeoutMs: config.timeoutMs, idle })),
    close: () => connection.close(),
  };
}

async function askAnew(config: LoadConfig): Promise<Done> {
  const socket = await open(config.host, config.port, config.timeoutMs);
  if (typeof socket === "string") return judge(socket);
  socket.on("error", () => socket.destroy());
  const request = get(config, paths.page, "connection: close\r\n");
  const done = judge(await exchange(socket, request, { timeoutMs: config.timeoutMs }));
  socket.destroy();
  return done;
}

function uploader(config: LoadConfig): Client {
  const connection = new KeptConnection(config.host, config.port);
  const bytes = randomBytes(config.uploadBytes);
  const digest = hash("sha256", bytes);
  return {
    ask: async () => {
      const nonce = randomBytes(10).toString("hex");
      const head = `POST ${paths.upload}${nonce} HTTP/1.1\r\nhost: ${config.hostHeader}\r\ncontent-length: ${bytes.length}\r\n\r\n`;
      const outcome = await connection.ask(Buffer.concat([Buffer.from(head), bytes]), { timeoutMs: config.timeoutMs });
      const done = judge(outcome);
      if (done.fault !== undefined || typeof outcome === "string") return { ...done, nonce };
      const echoed = outcome.body.toString("latin1");
      const right = echoed.includes(nonce) && echoed.includes(digest);
      return { ...done, nonce, fault: right ? undefined : "upload arrived changed" };
    },
    close: () => connection.close(),
  };
}

/** A websocket that lasts `lastingMs`, says something every half second and must hear the same. */
async function talk(config: LoadConfig): Promise<Done> {
  const socket = await open(config.host, config.port, config.timeoutMs);
  if (typeof socket === "string") return judge(socket);
  const key = randomBytes(16).toString("base64");
  return await new Promise<Done>((resolve) => {
    let version: string | undefined;
    let instance: string | undefined;
    let received: Buffer = Buffer.alloc(0);
    let upgraded = false;
    let expected: string | undefined;
    let closing = false;
    let next: NodeJS.Timeout | undefined;
    const endsAt = performance.now() + config.lastingMs;
    const settle = (fault?: string) => {
      clearTimeout(silence);
      clearTimeout(next);
      socket.removeAllListeners().on("error", () => {});
      socket.destroy();
      resolve({ fault, version, instance });
    };
    const silence = setTimeout(() => settle("time-out"), config.timeoutMs);
    const say = () => {
      closing = performance.now() >= endsAt;
      expected = randomBytes(8).toString("hex");
      socket.write(closing ? clientFrame(opcodes.close, Buffer.from([3, 232])) : clientFrame(opcodes.text, expected));
    };
    const upgrade = (): string | undefined => {
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return undefined;
      const head = received.toString("latin1", 0, end);
      version = headerOf(head, "x-version");
      instance = headerOf(head, "x-instance");
      if (!head.startsWith("HTTP/1.1 101 ")) return `status ${head.slice(9, 12)}`;
      if (!head.includes(acceptOf(key))) return "wrong accept";
      upgraded = true;
      received = received.subarray(end + 4);
      say();
      return undefined;
    };
    socket.on("data", (piece: Buffer) => {
      silence.refresh();
      received = received.length === 0 ? piece : Buffer.concat([received, piece]);
      if (!upgraded) {
        const fault = upgrade();
        if (fault !== undefined) return settle(fault);
      }
      for (let frame = upgraded ? readFrame(received) : undefined; frame !== undefined; frame = readFrame(received)) {
        received = frame.rest;
        if (frame.opcode === opcodes.close) return settle(closing ? undefined : "closed early");
        if (frame.opcode !== opcodes.text || frame.payload !== expected) return settle("wrong echo");
        next = setTimeout(say, Math.min(500, Math.max(0, endsAt - performance.now())));
      }
    });
    socket.on("error", (error) => settle(reasonOf(error)));
    socket.on("close", () => settle("closed early"));
    socket.write(
      get(
        config,
        paths.echo,
        `upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n`,
      ),
    );
  });
}

function judge(outcome: Outcome): Done {
  if (typeof outcome === "string") return { fault: outcome, version: undefined, instance: undefined };
  return {
    fault: faultOf(outcome),
    version: headerOf(outcome.head, "x-version"),
    instance: headerOf(outcome.head, "x-instance"),
  };
}
