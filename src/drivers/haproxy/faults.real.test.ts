import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import { Agent } from "node:http";
import { connect, type Socket } from "node:net";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Route } from "../../model/content.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import { ask } from "./admin.ts";
import { openFixture, send, type Fixture } from "./fixture.suite.ts";
import { layoutOf } from "./layout.ts";
import { findSupervisor } from "./supervisor.ts";

const signal = new AbortController().signal;
const anywhere: Route = { host: null, path: "/" };
const setOf = (n: number): SetName => `shop-production-v${n}` as SetName;

async function place(fixture: Fixture, n: number, count: number): Promise<void> {
  const endpoints = [];
  for (let ordinal = 1; ordinal <= count; ordinal += 1)
    endpoints.push(await fixture.backends.endpoint(`${setOf(n)}-${ordinal}` as InstanceName));
  await fixture.router.place({ set: setOf(n), endpoints }, signal);
}

const sockets: Socket[] = [];

function check(title: string, body: (fixture: Fixture) => Promise<void>): void {
  test(title, { timeout: 120_000 }, async () => {
    const fixture = await openFixture();
    try {
      await body(fixture);
    } finally {
      for (const socket of sockets.splice(0)) socket.destroy();
      await fixture.end();
    }
  });
}

/** Clients that ask without pause and never retry, until told to stop. */
function load(
  port: number,
  clients: number,
  agentOf: () => Agent | undefined,
): { stop(): Promise<{ requests: number; failures: string[] }> } {
  let going = true;
  let requests = 0;
  const failures: string[] = [];
  const client = async (n: number): Promise<void> => {
    const agent = agentOf();
    while (going) {
      requests += 1;
      const upload = n % 3 === 0;
      try {
        const answer = await send(port, "/", {
          ...(agent === undefined ? {} : { agent }),
          method: upload ? "POST" : "GET",
          ...(upload ? { body: "x".repeat(20_000) } : {}),
        });
        if (answer.status !== 200 || (await answer.body) !== answer.instance) failures.push(`status ${answer.status}`);
      } catch (error) {
        failures.push(String(error));
      }
      if (agent === undefined) await sleep(2);
    }
    agent?.destroy();
  };
  const all = Array.from({ length: clients }, (_, n) => client(n));
  return {
    stop: async () => {
      going = false;
      await Promise.all(all);
      return { requests, failures };
    },
  };
}

const keepAlive = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 });

async function workerPid(fixture: Fixture): Promise<number> {
  return Number(/^Pid: ([0-9]+)$/m.exec(await ask(layoutOf(fixture.places).admin, "show info"))?.[1]);
}

async function websocket(
  port: number,
): Promise<{ socket: Socket; echo(text: string): Promise<string>; closed: Promise<void> }> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const next = (): Promise<string> =>
    new Promise((resolve, reject) => {
      socket.once("data", (chunk) => resolve(chunk.toString()));
      void closed.then(() => reject(new Error("closed")));
    });
  const upgraded = next();
  socket.write(
    "GET /websocket HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  assert.match(await upgraded, /^HTTP\/1.1 101 /);
  const echo = (text: string): Promise<string> => {
    const answer = next();
    socket.write(text);
    return answer;
  };
  return { socket, echo, closed };
}

check("route() flips 40 times under load without a failed request, and counts every one", async (fixture) => {
  await place(fixture, 1, 4);
  await place(fixture, 2, 4);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
  const clients = load(fixture.router.address().port, 16, keepAlive);
  for (let flip = 0; flip < 40; flip += 1) {
    await fixture.router.route(anywhere, { route: anywhere, stable: setOf(flip % 2 === 0 ? 2 : 1) }, signal);
    await sleep(25);
  }
  const { requests, failures } = await clients.stop();
  assert.deepEqual(failures, []);
  const total = (): number => [...fixture.router.traffic().values()].reduce((sum, counts) => sum + counts.requests, 0);
  for (let attempt = 0; attempt < 200 && total() < requests; attempt += 1) await sleep(20);
  assert.equal(total(), requests);
  assert.deepEqual(fixture.gaps, []);
});

check(
  "kill -9 of HAProxy's worker and master refuses no connection, and it comes back with the same routes",
  async (fixture) => {
    await place(fixture, 1, 2);
    await place(fixture, 2, 2);
    await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
    await fixture.router.route(
      anywhere,
      { route: anywhere, stable: setOf(2), canaries: [{ set: setOf(1), weight: 300 }] },
      signal,
    );
    const before = await fixture.router.observe();
    const layout = layoutOf(fixture.places);
    for (const victim of ["worker", "master"]) {
      const clients = load(fixture.router.address().port, 8, () => undefined);
      await sleep(100);
      const old = await workerPid(fixture);
      process.kill(victim === "worker" ? old : (await findSupervisor(layout))!.haproxy, "SIGKILL");
      for (let attempt = 0; attempt < 500; attempt += 1) {
        const now = await workerPid(fixture).catch(() => old);
        if (now !== old) break;
        await sleep(10);
      }
      assert.notEqual(await workerPid(fixture), old);
      await sleep(100);
      const { failures } = await clients.stop();
      assert.deepEqual(
        failures.filter((failure) => failure.includes("ECONNREFUSED")),
        [],
      );
      assert.ok(failures.length <= 8, `more broken off than were open: ${failures.join("; ")}`);
      assert.deepEqual(await fixture.router.observe(), before);
    }
    assert.ok(fixture.gaps.length >= 1, "what was open at the kill was never logged: a gap");
    assert.equal((await findSupervisor(layout))!.starts, 3);
  },
);

check(
  "a daemon that starts again finds router, routes and counts anew, without a reload and under load",
  async (fixture) => {
    await place(fixture, 1, 2);
    await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
    const pid = await workerPid(fixture);
    const clients = load(fixture.router.address().port, 4, keepAlive);
    const before = fixture.router.traffic().get(setOf(1))!.epoch;
    await fixture.again();
    await place(fixture, 2, 2);
    await fixture.router.route(anywhere, { route: anywhere, stable: setOf(2) }, signal);
    await sleep(100);
    assert.deepEqual((await clients.stop()).failures, []);
    assert.equal(await workerPid(fixture), pid);
    const after = fixture.router.traffic().get(setOf(2))!;
    assert.notEqual(after.epoch, before);
    assert.equal(after.gap, false);
    assert.ok(after.requests > 0);
  },
);

check("a websocket lives through a flip and a reload, is in flight until cut, and ends there", async (fixture) => {
  await place(fixture, 1, 1);
  await place(fixture, 2, 1);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
  const client = await websocket(fixture.router.address().port);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(2) }, signal);
  const instance = `${setOf(1)}-1` as InstanceName;
  await fixture.router.drain(setOf(1), [instance]);
  assert.equal(await client.echo("after the flip"), "after the flip");
  assert.equal((await fixture.router.inFlight(setOf(1))).get(instance), 1);
  await place(fixture, 3, 17);
  assert.equal(fixture.reloads.length, 1);
  assert.equal(await client.echo("after the reload"), "after the reload");
  assert.equal((await fixture.router.inFlight(setOf(1))).get(instance), 1);
  await fixture.router.cut(setOf(1), [instance]);
  await Promise.race([
    client.closed,
    sleep(10_000, undefined, { ref: false }).then(() => assert.fail("still open after the cut")),
  ]);
  assert.equal((await fixture.router.inFlight(setOf(1))).get(instance), 0);
});

check(
  "the pool grows under load by one reload, and connections kept alive over it reach what is routed later",
  async (fixture) => {
    await place(fixture, 1, 2);
    await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
    const { port } = fixture.router.address();
    const idle = keepAlive();
    await (
      await send(port, "/", { agent: idle })
    ).body;
    const clients = load(port, 8, keepAlive);
    const endpoint = await fixture.backends.endpoint(`${setOf(2)}-1` as InstanceName);
    for (let n = 2; n <= 65; n += 1)
      await fixture.router.place(
        { set: setOf(n), endpoints: [{ ...endpoint, instance: `${setOf(n)}-1` as InstanceName }] },
        signal,
      );
    assert.deepEqual(fixture.reloads, ["the pool grew from 64 × 16 to 128 × 16"]);
    await fixture.router.route(anywhere, { route: anywhere, stable: setOf(65) }, signal);
    const answer = await send(port, "/", { agent: idle });
    await answer.body;
    assert.deepEqual([answer.status, answer.instance], [200, endpoint.instance]);
    await sleep(200);
    assert.deepEqual((await clients.stop()).failures, []);
    assert.deepEqual(fixture.gaps, []);
    idle.destroy();
  },
);

check("a lost line of the request log is seen as a gap", async (fixture) => {
  await place(fixture, 1, 1);
  const { logPort } = JSON.parse(readFileSync(layoutOf(fixture.places).record, "utf8")) as { logPort: number };
  const socket = createSocket("udp4");
  // What HAProxy would have sent, with line 2 lost on its way.
  for (const n of [1, 3])
    await new Promise((resolve) =>
      socket.send(`4000001 ${n} ${setOf(1)} 200 3 -- 10 10 s1`, logPort, "127.0.0.1", resolve),
    );
  socket.close();
  for (let attempt = 0; attempt < 500 && !fixture.gaps.some((gap) => gap.includes("1 lines")); attempt += 1)
    await sleep(20);
  assert.ok(fixture.gaps.some((gap) => gap.includes("1 lines")));
  assert.equal(fixture.router.traffic().get(setOf(1))?.gap, true);
});

check("after a reboot requests wait for the first instance of their set instead of failing", async (fixture) => {
  await place(fixture, 1, 2);
  const address = fixture.router.address();
  const router = await fixture.reboot({ rules: [{ route: anywhere, stable: setOf(1) }], running: new Set() });
  assert.deepEqual(router.address(), address);
  let answered = 0;
  const waiting = Array.from({ length: 50 }, async () => {
    const { status } = await send(address.port, "/");
    answered += 1;
    return status;
  });
  await sleep(500);
  assert.equal(answered, 0);
  await place(fixture, 1, 1);
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([200]));
});

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    if (await holds()) return;
    await sleep(20);
  }
  assert.fail(`never came: ${what}`);
}

check("kill -9 of the supervisor fails no request: a new one takes over HAProxy and its socket", async (fixture) => {
  await place(fixture, 1, 2);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
  const layout = layoutOf(fixture.places);
  const { port } = fixture.router.address();
  const fresh = load(port, 6, () => undefined);
  const kept = load(port, 6, keepAlive);
  const before = (await findSupervisor(layout))!;
  for (let round = 1; round <= 3; round += 1) {
    process.kill((await findSupervisor(layout))!.supervisor, "SIGKILL");
    await until("a supervisor that took over", () => fixture.mended.length === round);
    assert.match(fixture.mended.at(-1) ?? "", /took over HAProxy/);
  }
  const after = (await findSupervisor(layout))!;
  assert.deepEqual([after.haproxy, after.port], [before.haproxy, port]);
  await place(fixture, 2, 1);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(2) }, signal);
  await sleep(100);
  assert.deepEqual([...(await fresh.stop()).failures, ...(await kept.stop()).failures], []);

  // What it took over it also keeps alive.
  process.kill(after.haproxy, "SIGKILL");
  await until("another HAProxy", async () => (await findSupervisor(layout))!.haproxy !== after.haproxy);
  assert.equal((await send(port, "/")).instance, `${setOf(2)}-1`);
  await until("word of it", () => fixture.mended.some((what) => what.startsWith("HAProxy ended")));
});

check("the supervisor and HAProxy's master killed at once come back with the same port and routes", async (fixture) => {
  await place(fixture, 1, 1);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
  const layout = layoutOf(fixture.places);
  const { port } = fixture.router.address();
  const { supervisor, haproxy } = (await findSupervisor(layout))!;
  for (const pid of [supervisor, haproxy]) process.kill(pid, "SIGKILL");
  await until("both again", () => fixture.mended.length === 1);
  assert.equal((await send(port, "/")).instance, `${setOf(1)}-1`);
});

check("start() takes over what a supervisor that was killed left behind", async (fixture) => {
  await place(fixture, 1, 1);
  await fixture.router.route(anywhere, { route: anywhere, stable: setOf(1) }, signal);
  const layout = layoutOf(fixture.places);
  const { port } = fixture.router.address();
  await fixture.router.detach();
  const before = (await findSupervisor(layout))!;
  process.kill(before.supervisor, "SIGKILL");
  assert.equal((await send(port, "/")).status, 200);
  const clients = load(port, 4, () => undefined);
  await fixture.again();
  await sleep(50);
  assert.deepEqual((await clients.stop()).failures, []);
  const after = (await findSupervisor(layout))!;
  assert.deepEqual([after.haproxy, after.port], [before.haproxy, port]);
  assert.notEqual(after.supervisor, before.supervisor);
});

check("stop() leaves no process, no socket and no listener", async (fixture) => {
  await place(fixture, 1, 1);
  const layout = layoutOf(fixture.places);
  const { port } = fixture.router.address();
  await fixture.router.stop();
  assert.equal(spawnSync("pgrep", ["-f", layout.run]).stdout.toString(), "");
  for (const path of [layout.control, layout.admin, layout.master]) assert.equal(existsSync(path), false, path);
  await assert.rejects(send(port, "/"), { code: "ECONNREFUSED" });
});
