import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Executions, withExecutions } from "./executions.ts";
import { machineMs, runProbe } from "./probe.ts";
import { defaultLoad, type Kind, type LoadConfig } from "./protocol.ts";
import { startLoad } from "./process.ts";
import { runLoad } from "./run.ts";

const app = join(import.meta.dirname, "../../examples/demo-app/server.js");
const main = join(import.meta.dirname, "main.ts");
let server: ChildProcess;
let port: number;
let folder: string;

const configFor = (toPort: number, clients: Partial<Record<Kind, number>>): LoadConfig => ({
  ...defaultLoad,
  host: "127.0.0.1",
  port: toPort,
  hostHeader: "demo",
  clients,
  lastingMs: 500,
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "bronze-load-"));
  port = await freePort();
  server = spawn(process.execPath, [app], {
    env: { PORT: String(port), BRONZE_INSTANCE: "one" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.stdout?.on("data", async (text: Buffer) => {
    resolve();
    await appendFile(join(folder, "one.log"), text);
  });
  await promise;
});

after(async () => {
  server.kill();
  await rm(folder, { recursive: true });
});

test("startLoad() finds every kind of request of a right server answered, each upload executed once", async () => {
  const load = await startLoad(main, {
    ...configFor(port, {
      "keep-alive": 4,
      "new connection": 2,
      "slow response": 4,
      upload: 2,
      stream: 2,
      websocket: 2,
    }),
    pauseMs: { "keep-alive": 5, "new connection": 5, upload: 20 },
  });
  await load.window();
  assert.ok((await load.mark()).open >= 6);
  await new Promise((resolve) => setTimeout(resolve, 800));
  const report = await load.stop();
  assert.equal(report.failed, 0, report.examples.join("\n"));
  assert.equal(report.kinds.length, 6);
  assert.deepEqual(Object.keys(report.versions), ["1"]);
  assert.equal(report.inFlight.atMarks.length, 1);
  const executions = new Executions(folder);
  await executions.scan();
  assert.ok(report.uploaded.length > 0);
  assert.deepEqual(executions.wrong(report), { never: 0, twice: 0 });
});

for (const [fault, reply] of [
  ["status 503", "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"],
  ["wrong body", `HTTP/1.1 200 OK\r\ncontent-length: 70\r\n\r\nsomething${"0".repeat(61)}`],
  ["short body", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"],
  ["closed early", "HTTP/1.1 200 OK\r\ncontent-length: 700\r\n\r\nok"],
  ["reset", null],
] as const) {
  test(`runLoad() counts "${fault}" as failed and asks nothing again`, async () => {
    let asked = 0;
    const broken = await listen((socket) =>
      socket.once("data", () => {
        asked += 1;
        if (reply === null) socket.resetAndDestroy();
        else socket.end(reply);
      }),
    );
    const load = runLoad({
      ...configFor((broken.address() as AddressInfo).port, { "keep-alive": 1 }),
      pauseMs: { "keep-alive": 20 },
    });
    await load.warm;
    const report = await load.stop();
    broken.close();
    assert.equal(report.failed, report.requests);
    assert.equal(asked, report.requests);
    assert.deepEqual(report.kinds[0]?.reasons, { [fault]: asked });
  });
}

test("runLoad() counts an answer that does not come in time as failed", async () => {
  const silent = await listen(() => {});
  const load = runLoad({
    ...configFor((silent.address() as AddressInfo).port, { "keep-alive": 1, websocket: 1 }),
    timeoutMs: 50,
  });
  await load.warm;
  const report = await load.stop();
  silent.close();
  assert.ok(report.failed >= 1);
  for (const row of report.kinds) assert.deepEqual(Object.keys(row.reasons), ["time-out"]);
});

test("Executions finds uploads executed never and twice, across rotated files", async () => {
  const logs = await mkdtemp(join(tmpdir(), "bronze-logs-"));
  const executions = new Executions(logs);
  await writeFile(join(logs, "a.log"), "upload aaaaaaaa01\nupload bbbbbbbb");
  await executions.scan();
  await appendFile(join(logs, "a.log"), "02\n");
  await rename(join(logs, "a.log"), join(logs, "a.log.1"));
  await writeFile(join(logs, "a.log"), "x upload bbbbbbbb02\n");
  await executions.scan();
  await rm(logs, { recursive: true });
  const load = runLoad(configFor(port, {}));
  const report = { ...(await load.stop()), uploaded: ["aaaaaaaa01", "bbbbbbbb02", "cccccccc03"] };
  assert.deepEqual(executions.wrong(report), { never: 1, twice: 1 });
  assert.equal(withExecutions(report, { never: 1, twice: 1 }).failed, 2);
});

test("takeover() finds the first answer of a content after which no other answered", async () => {
  let content = "old";
  const changing = await listen((socket) =>
    socket.on("data", () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n${content}`)),
  );
  const { port: toPort } = changing.address() as AddressInfo;
  const probe = runProbe({
    host: "127.0.0.1",
    port: toPort,
    hostHeader: "demo",
    path: "/",
    connections: 4,
    everyMs: 2,
    contents: ["old", "new"],
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const since = machineMs();
  assert.equal(probe.takeover(1, 0).atMs, null);
  content = "new";
  await new Promise((resolve) => setTimeout(resolve, 100));
  const takeover = probe.takeover(1, since);
  await probe.stop();
  changing.close();
  assert.ok(takeover.atMs !== null && takeover.atMs >= since);
  assert.equal(takeover.failed, 0);
});

async function freePort(): Promise<number> {
  const holder = await listen(() => {});
  const { port: free } = holder.address() as AddressInfo;
  await new Promise((resolve) => holder.close(resolve));
  return free;
}

function listen(serve: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve) => {
    const listening = createServer((socket) => {
      socket.on("error", () => {});
      serve(socket);
    });
    listening.listen(0, "127.0.0.1", () => resolve(listening));
  });
}

test("Executions reads a file from its beginning that got the inode of a removed one", async () => {
  const logs = await mkdtemp(join(tmpdir(), "bronze-logs-"));
  const executions = new Executions(logs);
  const uploaded: string[] = [];
  for (let i = 0; i < 20; i += 1) {
    const nonce = `dddddddd${String(i).padStart(2, "0")}`;
    uploaded.push(nonce);
    await writeFile(join(logs, `${i}.log`), `upload ${nonce}\n`);
    await executions.scan();
    await rm(join(logs, `${i}.log`));
  }
  await rm(logs, { recursive: true });
  const load = runLoad(configFor(port, {}));
  assert.deepEqual(executions.wrong({ ...(await load.stop()), uploaded }), { never: 0, twice: 0 });
});
