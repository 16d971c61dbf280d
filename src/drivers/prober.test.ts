import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import test from "node:test";
import { proberSuite } from "../ports/prober.suite.ts";
import type { ProbeResult } from "../ports/prober.ts";
import { createProber } from "./prober.ts";

proberSuite("createProber()", (t) => {
  const closers: (() => void)[] = [];
  t.after(() => closers.forEach((close) => close()));
  async function listening(onRequest: RequestListener): Promise<{ address: string; port: number; path: string }> {
    const server = createHttpServer(onRequest);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return { address: "127.0.0.1", port: (server.address() as AddressInfo).port, path: "/healthz" };
  }
  return {
    prober: createProber(),
    answering: (status) => listening((_, response) => response.writeHead(status).end()),
    silent: () => listening(() => {}),
    async deaf() {
      const target = await listening(() => {});
      closers.splice(-1).forEach((close) => close());
      return target;
    },
    whileTimePasses: (_, result) => result,
  };
});

async function probed(onConnection: (socket: Socket) => void, timeoutMs = 10_000): Promise<ProbeResult> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await createProber().probe(
      { address: "127.0.0.1", port: (server.address() as AddressInfo).port, path: "/healthz" },
      timeoutMs,
    );
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

const answers =
  (text: string, end = false) =>
  (socket: Socket): void => {
    socket.once("data", () => (end ? socket.end(text) : socket.write(text)));
  };

test("probe() takes a whole answer without waiting for the connection's end", async () => {
  for (const text of [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ]) {
    const result = await probed(answers(text));
    assert.equal(result.kind === "answered" && result.status, 200);
  }
});

test("probe() takes the status of an answer that never ends", async () => {
  const result = await probed(answers("HTTP/1.1 503 No\r\n\r\nsorry"), 100);
  assert.deepEqual(result.kind === "answered" && [result.status, result.body], [503, "sorry"]);
});

test("probe() keeps at most 4 KiB of an answer", async () => {
  const result = await probed(answers(`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(1_000_000)}`));
  assert.ok(result.kind === "answered" && result.body.length <= 4_096);
});

test("probe() tells a time-out from a reset, a refusal and what is no HTTP", async () => {
  assert.equal((await probed(() => {}, 50)).kind, "timeout");
  assert.equal((await probed((socket) => socket.once("data", () => socket.resetAndDestroy()))).kind, "reset");
  assert.equal((await probed(answers("SSH-2.0-x\r\n", true))).kind, "reset");
  assert.equal((await createProber().probe({ address: "127.0.0.1", port: 1, path: "/" }, 1_000)).kind, "refused");
});

test("probe() without a path asks for a connection only", async () => {
  const server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const asked = () => createProber().probe({ address: "127.0.0.1", port, path: null }, 10_000);
  assert.equal((await asked()).kind, "accepted");
  await new Promise((resolve) => server.close(resolve));
  assert.equal((await asked()).kind, "refused");
});

test("probe() does not count the time in which this process itself was held up", async () => {
  // A server in a process of its own: it answers while this one stands still.
  const server = spawn(process.execPath, [
    "-e",
    `require("node:http").createServer((_, answer) => answer.end("ok"))
      .listen(0, "127.0.0.1", function () { console.log(this.address().port) })`,
  ]);
  try {
    const [port] = (await once(server.stdout, "data")) as [Buffer];
    const probing = createProber().probe({ address: "127.0.0.1", port: Number(port), path: "/" }, 1_000);
    // Held up right after the connection was begun, and again when its answer is on its way.
    for (let times = 0; times < 2; times += 1) {
      const until = performance.now() + 1_200;
      while (performance.now() < until);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const result = await probing;
    assert.equal(result.kind, "answered");
    assert.ok(result.latencyMs > 1_000, `${result.latencyMs} ms is longer than the time-out`);
  } finally {
    server.kill("SIGKILL");
  }
});
