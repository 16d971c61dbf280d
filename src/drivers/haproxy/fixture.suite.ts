import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request as httpRequest, type Agent, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { placesOf, type Places } from "../../model/places.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Endpoint, RouterBeginning } from "../../ports/router.ts";
import type { InstanceName } from "../../model/names.ts";
import { createHaproxyRouter, type HaproxyRouter } from "./router.ts";

export const wallClock: Clock = {
  now: () => Date.now(),
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Servers on loopback that answer with their instance's name; `/hold` waits for `release`, `/websocket` upgrades. */
export interface Backends {
  endpoint(instance: InstanceName): Promise<Endpoint>;
  /** Answers everything that is held. */
  release(): void;
  readonly held: readonly ServerResponse[];
  close(): Promise<void>;
}

export function openBackends(): Backends {
  const servers: Server[] = [];
  const held: ServerResponse[] = [];
  const sockets = new Set<Socket>();
  return {
    held,
    endpoint: async (instance) => {
      const server = createServer((incoming, response) => {
        response.setHeader("x-instance", instance);
        if (incoming.url === "/hold") {
          response.flushHeaders();
          held.push(response);
        } else incoming.resume().on("end", () => response.end(instance));
      });
      server.on("upgrade", (incoming, socket: Socket) => {
        const accept = createHash("sha1")
          .update(`${incoming.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest("base64");
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        socket.on("data", (chunk) => socket.write(chunk));
        socket.on("error", () => socket.destroy());
      });
      server.on("connection", (socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      servers.push(server);
      return { instance, address: "127.0.0.1", port: (server.address() as AddressInfo).port };
    },
    release: () => {
      for (const response of held.splice(0)) response.end("done");
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly instance: string;
  readonly body: Promise<string>;
}

/** One request; resolves at the response's head. No retry. */
export function send(
  port: number,
  path: string,
  options: {
    readonly host?: string;
    readonly agent?: Agent;
    readonly method?: string;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: "127.0.0.1",
        port,
        path,
        method: options.method ?? "GET",
        headers: { ...options.headers, host: options.host ?? "shop.example" },
        agent: options.agent ?? false,
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        const body = new Promise<string>((whole, broken) => {
          response.on("end", () => whole(text));
          response.on("error", broken);
        });
        body.catch(() => {});
        resolve({ status: response.statusCode ?? 0, instance: String(response.headers["x-instance"] ?? ""), body });
      },
    );
    request.on("error", reject);
    request.end(options.body);
  });
}

/** A started router in a state folder of its own. */
export interface Fixture {
  readonly places: Places;
  readonly backends: Backends;
  router: HaproxyRouter;
  readonly reloads: string[];
  readonly gaps: string[];
  readonly mended: string[];
  /** Another daemon's router on the same state, started; the one before is let go. */
  again(): Promise<HaproxyRouter>;
  /** The router after a reboot, started. */
  reboot(beginning: RouterBeginning): Promise<HaproxyRouter>;
  end(): Promise<void>;
}

const nothing: RouterBeginning = { rules: [], running: new Set() };

export async function openFixture(): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), "bronze-router-"));
  const places = placesOf(folder);
  const backends = openBackends();
  const reloads: string[] = [];
  const gaps: string[] = [];
  const mended: string[] = [];
  const make = (): HaproxyRouter =>
    createHaproxyRouter({
      places,
      bind: { host: "127.0.0.1", port: 0 },
      clock: wallClock,
      onReload: (reason) => reloads.push(reason),
      onGap: (reason) => gaps.push(reason),
      onMended: (what) => mended.push(what),
    });
  const signal = new AbortController().signal;
  const fixture: Fixture = {
    places,
    backends,
    router: make(),
    reloads,
    gaps,
    mended,
    again: async () => {
      await fixture.router.detach();
      fixture.router = make();
      await fixture.router.start(nothing, signal);
      return fixture.router;
    },
    reboot: async (beginning) => {
      await fixture.router.stop();
      await rm(fixture.places.run, { recursive: true });
      fixture.router = make();
      await fixture.router.start(beginning, signal);
      return fixture.router;
    },
    end: async () => {
      await fixture.router.stop();
      await backends.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await fixture.router.start(nothing, signal);
  return fixture;
}
