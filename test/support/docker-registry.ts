import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { makeCertificates } from "../../src/registry/certificates.suite.ts";
import { eventually } from "./bronze.ts";

/** Debian's docker-registry on a free port of loopback, until the test ends. */
export interface DockerRegistry {
  readonly port: number;
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** The authority's certificate, with TLS. */
  readonly authority: string;
  /** A credentials file that Docker's tools and Bronze read; its folder is a DOCKER_CONFIG. */
  readonly credentials: string;
}

/** The only user; the password is in no file but the credentials'. */
const password = "canary-77e1c2";
const htpasswd = "tester:$2y$04$SOgQ4iDlNKtFvYH7BwyYBO3Um2Kixoctn1.GP5rC7z2xpjSm/Dff.\n";
export const secrets = [password, Buffer.from(`tester:${password}`).toString("base64")];

export async function startDockerRegistry(
  t: Pick<TestContext, "after">,
  options: { readonly guarded: boolean },
): Promise<DockerRegistry> {
  const folder = mkdtempSync(join(tmpdir(), "bz-registry-"));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const authority = join(folder, "ca.crt");
  if (options.guarded) makeCertificates(folder, { server: "IP:127.0.0.1" });
  const tls = `  tls: { certificate: ${folder}/server.crt, key: ${folder}/server.key }\n`;
  const auth = `auth: { htpasswd: { realm: test, path: ${file("htpasswd", htpasswd)} } }\n`;
  const config = [
    "version: 0.1",
    "log: { level: error, accesslog: { disabled: true } }",
    `storage: { filesystem: { rootdirectory: ${folder}/data } }`,
    `http:\n  addr: ${host}\n  secret: test\n${options.guarded ? tls : ""}${options.guarded ? auth : ""}`,
  ].join("\n");
  mkdirSync(join(folder, "docker"));
  const entry = { auth: Buffer.from(`tester:${password}`).toString("base64") };
  const credentials = file("docker/config.json", JSON.stringify({ auths: { [host]: entry } }));
  const child = spawn("docker-registry", ["serve", file("config.yml", config)], { stdio: "ignore" });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  });
  await eventually("docker-registry listens", () => isOpen(port));
  return { port, host, authority, credentials };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** A way to a port of loopback that breaks. */
export interface BreakingWay {
  readonly host: string;
  /** Bytes that came back through it so far. */
  bytes: number;
  /** Connections that broke. */
  breaks: number;
  /** From now on each connection breaks after so many bytes in one direction. */
  after: number;
  /** Delay for each piece that comes back, in ms. */
  delayMs: number;
}

export async function startBreakingWay(t: Pick<TestContext, "after">, port: number): Promise<BreakingWay> {
  const sockets = new Set<Socket>();
  const way = { host: "", bytes: 0, breaks: 0, after: Number.POSITIVE_INFINITY, delayMs: 0 };
  const server = createServer((client) => {
    const upstream = createConnection(port, "127.0.0.1");
    const limit = way.after;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      let passed = 0;
      sockets.add(from);
      from.on("close", () => {
        sockets.delete(from);
        end();
      });
      from.on("error", end);
      from.on("data", (piece: Buffer) => {
        passed += piece.byteLength;
        if (from === upstream) way.bytes += piece.byteLength;
        if (passed > limit) {
          way.breaks += 1;
          return end();
        }
        const isWritable = to.write(piece);
        const wait = from === upstream ? way.delayMs : 0;
        if (isWritable && wait === 0) return;
        from.pause();
        if (wait > 0) setTimeout(() => from.resume(), wait);
        else to.once("drain", () => from.resume());
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return Object.assign(way, { host: `127.0.0.1:${(server.address() as AddressInfo).port}` });
}
