import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createConnection, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { parseReference } from "../image/reference.ts";
import type { Registry } from "../ports/registry.ts";
import { makeCertificates } from "./certificates.suite.ts";
import { newFolder, newServer, signal, withCode } from "./fixture.suite.ts";
import { createRegistry } from "./registry.ts";
import { makeImage, publish } from "./server.suite.ts";

const image = makeImage([500]);
const platforms = { "linux/amd64": image.digest };
const open: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of open.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function listen(server: Server): Promise<number> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

interface TlsPlace {
  readonly folder: string;
  readonly port: number;
}

/** A registry behind TLS for 127.0.0.1 and registry.test; `answer` may take a request over. */
async function newTls(asksWho = false, answer?: Parameters<typeof createServer>[1], busy = 0): Promise<TlsPlace> {
  let left = busy;
  const folder = newFolder();
  makeCertificates(folder, { server: "IP:127.0.0.1,DNS:registry.test", client: "DNS:client.test" });
  const inner = await newServer();
  publish(inner, "shop", "1", image);
  const read = (name: string): Buffer => readFileSync(join(folder, name));
  const asked = asksWho ? { requestCert: true, rejectUnauthorized: true, ca: read("ca.crt") } : {};
  const tls = { cert: read("server.crt"), key: read("server.key"), ...asked };
  const port = await listen(
    createTlsServer(tls, (request, response) => {
      if (left-- > 0) return void response.writeHead(503, { "retry-after": "0" }).end();
      if (answer !== undefined && request.url !== "/v2/") return answer(request, response);
      const [hostname, innerPort] = inner.host.split(":");
      const onward = httpRequest({ hostname, port: innerPort, path: request.url, method: request.method }, (back) => {
        response.writeHead(back.statusCode ?? 0, back.headers);
        back.pipe(response);
      });
      request.pipe(onward);
    }),
  );
  return { folder, port };
}

/** Certificates by host as Docker keeps them. */
function certificatesFor(host: string, files: Readonly<Record<string, string>>): string {
  const folder = newFolder();
  mkdirSync(join(folder, host));
  for (const [name, from] of Object.entries(files)) copyFileSync(from, join(folder, host, name));
  return folder;
}

function clientWith(certificates: readonly string[], env: Record<string, string> = {}, plainHttp = false): Registry {
  const own = { folder: newFolder(), home: "/nonexistent", firstWaitMs: 1 };
  return createRegistry({ ...own, certificates, plainHttp, env: { XDG_RUNTIME_DIR: "/nonexistent", ...env } });
}

const shop = (host: string): ReturnType<typeof parseReference> => parseReference(`${host}/shop:1`);

test("the host's own authority is trusted, its client certificate shown; without them the refusal says what to do", async () => {
  const { folder, port } = await newTls(true);
  const host = `127.0.0.1:${port}`;
  const file = (name: string): string => join(folder, name);
  const whole = certificatesFor(host, {
    "ca.crt": file("ca.crt"),
    "me.cert": file("client.crt"),
    "me.key": file("client.key"),
  });
  assert.deepEqual((await clientWith([newFolder(), whole]).resolve(shop(host), signal)).platforms, platforms);
  const authorityOnly = certificatesFor(host, { "ca.crt": file("ca.crt") });
  await assert.rejects(clientWith([authorityOnly]).resolve(shop(host), signal), withCode("REGISTRY_FAILED"));
  await assert.rejects(clientWith([]).resolve(shop(host), signal), (error) => {
    assert.match((error as { hint: string }).hint, /certs\.d\/127\.0\.0\.1:[0-9]+\/ca\.crt/);
    return withCode("REGISTRY_FAILED", /certificate/)(error);
  });
  const keyless = certificatesFor(host, { "ca.crt": file("ca.crt"), "me.cert": file("client.crt") });
  await assert.rejects(
    clientWith([keyless]).resolve(shop(host), signal),
    withCode("REGISTRY_FAILED", /no me\.key beside it/),
  );
  const broken = certificatesFor(host, {});
  writeFileSync(join(broken, host, "ca.crt"), "no certificate");
  await assert.rejects(clientWith([broken]).resolve(shop(host), signal), withCode("REGISTRY_FAILED"));
});

test("a registry behind TLS that is busy at first is asked again", async () => {
  const { folder, port } = await newTls(false, undefined, 3);
  const host = `127.0.0.1:${port}`;
  const certificates = [certificatesFor(host, { "ca.crt": join(folder, "ca.crt") })];
  assert.deepEqual((await clientWith(certificates).resolve(shop(host), signal)).platforms, platforms);
});

test("what began with TLS never goes on without: no redirect, no token server", async () => {
  for (const [headers, status] of [
    [{ location: "http://127.0.0.1:1/blob" }, 307],
    [{ "www-authenticate": 'Bearer realm="http://127.0.0.1:1/token"' }, 401],
  ] as const) {
    const { folder, port } = await newTls(false, (_request, response) => response.writeHead(status, headers).end());
    const host = `127.0.0.1:${port}`;
    const certificates = certificatesFor(host, { "ca.crt": join(folder, "ca.crt") });
    await assert.rejects(
      clientWith([certificates]).resolve(shop(host), signal),
      withCode("REGISTRY_FAILED", /no https address/),
    );
  }
});

test("other hosts are asked through the environment's proxy, this machine's never", async () => {
  const { folder, port } = await newTls();
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const url = new URL(request.url ?? "");
    const onward = httpRequest({ hostname: "127.0.0.1", port: url.port, path: url.pathname }, (back) => {
      response.writeHead(back.statusCode ?? 0, back.headers);
      back.pipe(response);
    });
    request.pipe(onward);
  });
  proxy.on("connect", (request, client: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    const onward = createConnection(Number(request.url?.split(":")[1]), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      client.pipe(onward).pipe(client);
    });
    for (const socket of [client, onward]) sockets.add(socket.on("error", () => undefined));
  });
  const way = `http://127.0.0.1:${await listen(proxy)}`;
  const env = { HTTPS_PROXY: way, HTTP_PROXY: way };
  const host = `registry.test:${port}`;
  const certificates = [certificatesFor(host, { "ca.crt": join(folder, "ca.crt") })];
  assert.deepEqual((await clientWith(certificates, env).resolve(shop(host), signal)).platforms, platforms);
  assert.ok(asked.length > 0 && asked.every((line) => line === `CONNECT ${host}`), asked.join());

  const plain = await newServer();
  publish(plain, "shop", "1", image);
  const plainHost = `registry.test:${plain.host.split(":")[1]}`;
  await assert.rejects(clientWith([], env).resolve(shop(plainHost), signal), (error) => {
    assert.match((error as { hint: string }).hint, /--plain-http/);
    return withCode("REGISTRY_FAILED")(error);
  });
  assert.deepEqual((await clientWith([], env, true).resolve(shop(plainHost), signal)).platforms, platforms);
  assert.ok(
    asked.some((line) => line === `GET http://${plainHost}/v2/shop/manifests/1`),
    asked.join(),
  );

  asked.length = 0;
  assert.deepEqual((await clientWith([], env).resolve(shop(plain.host), signal)).platforms, platforms);
  assert.deepEqual(asked, []);
});
