import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import test from "node:test";
import type { Ping } from "../src/model/api/asked.ts";
import { createSite, eventually, get, keepAsking, type DeployResult } from "./support/bronze.ts";
import { errorOf, request, sendRaw, statusOf } from "./support/socket.ts";

const asked = { app: "shop", environment: "production", who: "x", why: "" };
const json = (value: unknown): string => JSON.stringify(value);
const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

/** What is sent as it is, and the status it is answered with. */
const wrong: readonly (readonly [what: string, bytes: string, status: number])[] = [
  ["an unknown route", request("GET", "/v1/nosuch"), 404],
  ["no host", "GET /v1/nosuch HTTP/1.1\r\nconnection: close\r\n\r\n", 404],
  ["the root", request("GET", "/"), 404],
  ["a route that climbs", request("GET", "/v1/../../etc/passwd"), 404],
  ["a broken escape", request("GET", "/v1/%zz"), 400],
  ["another method", request("DELETE", "/v1/status"), 404],
  ["HEAD", request("HEAD", "/v1/status"), 404],
  ["a method that is none", request("BREW", "/v1/status"), 400],
  ["a POST without a body", request("POST", "/v1/deploy"), 400],
  ["a body that is no JSON", request("POST", "/v1/deploy", "{"), 400],
  ["a body that is a list", request("POST", "/v1/scale", "[]"), 400],
  ["a body nested without end", request("POST", "/v1/scale", deep), 400],
  ["a body that changes prototypes", request("POST", "/v1/scale", '{"__proto__":{"app":"shop"}}'), 400],
  [
    "another content type",
    "POST /v1/scale HTTP/1.1\r\nhost: b\r\ncontent-type: text/x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
    400,
  ],
  ["an oversized body", request("POST", "/v1/scale", json({ why: "x".repeat(2 * 1024 * 1024) })), 400],
  ["an unknown field", request("POST", "/v1/scale", json({ ...asked, instances: 2, more: 1 })), 400],
  ["a wrong type", request("POST", "/v1/scale", json({ ...asked, instances: "2" })), 400],
  ["a number out of bounds", request("POST", "/v1/scale", json({ ...asked, instances: -1 })), 400],
  ["a name that cannot be one", request("POST", "/v1/scale", json({ ...asked, app: "../x", instances: 1 })), 400],
  ["half a character", request("POST", "/v1/scale", json({ ...asked, instances: 1 }).replace('"x"', '"\\ud800"')), 400],
  [
    "a why beyond all bounds",
    request("POST", "/v1/scale", json({ ...asked, why: "w".repeat(1001), instances: 1 })),
    400,
  ],
  ["down of nothing", request("POST", "/v1/down", json({ who: "x", why: "" })), 400],
  ["down of one and all", request("POST", "/v1/down", json({ ...asked, all: true })), 400],
  ["an unknown parameter", request("GET", "/v1/status?nosuch=1"), 400],
  ["a parameter twice", request("GET", "/v1/status?app=a&app=b"), 400],
  ["a release that is no number", request("GET", "/v1/release?app=shop&environment=production&release=v1"), 400],
  ["a release of nothing", request("GET", "/v1/release"), 400],
  ["an unknown release", request("GET", "/v1/release?app=shop&environment=production&release=99"), 404],
  ["an unknown app", request("GET", "/v1/releases?app=shpo"), 404],
  [
    "an unknown instance",
    request("GET", "/v1/logs?app=shop&environment=production&instance=shop-production-v1-99"),
    404,
  ],
  ["no HTTP", "hello\r\n\r\n", 400],
  ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001", 400],
  ["two lengths", "POST /v1/scale HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", 400],
  [
    "a length and chunks",
    "POST /v1/scale HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["a chunk that is none", "POST /v1/scale HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400],
  [
    "a flood of headers",
    request(
      "GET",
      "/v1/ping",
      "",
      Array.from({ length: 5000 }, (_, i) => `x-${i}: y`),
    ),
    431,
  ],
  ["a header beyond all bounds", request("GET", "/v1/ping", "", [`x: ${"y".repeat(100_000)}`]), 431],
];

/** Errors that the work itself finds come as the last line of a stream. */
const streamed: readonly (readonly [what: string, path: string, body: object, code: string])[] = [
  ["scale of an unknown app", "/v1/scale", { ...asked, app: "shpo", instances: 1 }, "NOT_FOUND"],
  ["rollback to an unknown release", "/v1/rollback", { ...asked, to: 999_999_999 }, "NOT_FOUND"],
  ["waiting for an unknown release", "/v1/wait", { app: "shop", environment: "production", release: 77 }, "NOT_FOUND"],
  ["down of an unknown environment", "/v1/down", { ...asked, environment: "staging" }, "NOT_FOUND"],
];

const rssKib = (pid: number): number =>
  Number(/^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);

test(
  "the daemon answers whatever comes over its socket, stays small and alive, and the live app goes on",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const socket = join(site.state, "run/bronze.sock");
    const ping = async (): Promise<Ping> => {
      const { text } = await sendRaw(socket, request("GET", "/v1/ping"));
      return JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as Ping;
    };
    const before = await ping();
    const releases = await site.releases();
    const load = keepAsking(url, 20);
    const held: Socket[] = [];

    await t.test("wrong requests are answered with 4xx and what is wrong", async () => {
      for (const [what, bytes, status] of wrong) {
        const { text } = await sendRaw(socket, Buffer.from(bytes, "latin1"));
        assert.equal(statusOf(text), status, `${what}: ${text.slice(0, 300)}`);
        if (what === "HEAD") continue;
        const error = errorOf(text);
        assert.ok(
          error !== undefined && error.hint !== "" && /^[A-Z_]+$/.test(error.code),
          `${what}: ${text.slice(-300)}`,
        );
        assert.doesNotMatch(error.message, /\n/, what);
      }
      for (const [what, path, body, code] of streamed) {
        const { text } = await sendRaw(socket, request("POST", path, json(body)));
        assert.deepEqual([statusOf(text), errorOf(text)?.code], [200, code], `${what}: ${text.slice(-300)}`);
      }
    });

    await t.test("requests one behind the other on one connection are all answered", async () => {
      const one = "GET /v1/ping HTTP/1.1\r\nhost: b\r\n\r\n";
      const { text } = await sendRaw(socket, `${one.repeat(50)}${request("GET", "/v1/ping")}`);
      assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 51);
      const upgrade = request("GET", "/v1/ping", "", ["upgrade: websocket", "sec-websocket-key: x"]);
      assert.equal(statusOf((await sendRaw(socket, upgrade)).text), 200);
    });

    await t.test("slow and cut requests are given up, many of them harm nobody", async () => {
      const slow = [
        "GET /v1/ping HTTP/1.1\r\nx",
        "POST /v1/scale HTTP/1.1\r\nhost: b\r\ncontent-length: 500\r\n\r\n{",
        "",
      ];
      for (let i = 0; i < 300; i += 1) {
        const one = connect(socket);
        one.on("error", () => undefined);
        one.on("connect", () => one.write(slow[i % slow.length] ?? ""));
        held.push(one.resume());
      }
      for (let i = 0; i < 50; i += 1) {
        const cut = connect(socket, () =>
          cut.end("POST /v1/deploy HTTP/1.1\r\nhost: b\r\ncontent-length: 90\r\n\r\n{"),
        );
        cut.on("error", () => undefined).resume();
      }
      assert.equal((await ping()).pid, before.pid);
      assert.equal((await site.bronze(["status"])).status, 0);
      const begun = held.filter((_, i) => i % slow.length === 0);
      await eventually("the slow ones are closed", () => begun.every((one) => one.destroyed), 60_000);
    });

    await t.test("clients that read nothing of a stream cost no memory", async () => {
      const grown = rssKib(before.pid);
      for (let i = 0; i < 100; i += 1) {
        const deaf = connect(socket, () => deaf.write(request("GET", "/v1/history?limit=10000")));
        deaf.on("error", () => undefined).pause();
        held.push(deaf);
      }
      assert.equal((await ping()).pid, before.pid);
      const after = rssKib(before.pid);
      t.diagnostic(`resident: ${grown} KiB before, ${after} KiB with 100 clients that read nothing`);
      assert.ok(after < grown + 128 * 1024);
    });

    for (const one of held) one.destroy();
    assert.equal((await ping()).pid, before.pid);
    const rows = await site.releases();
    assert.deepEqual(
      rows.map(({ release, state }) => [release, state === "watching" ? "proven" : state]),
      releases.map(({ release }) => [release, "proven"]),
    );
    assert.equal((await get(url)).status, 200);
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    t.diagnostic(
      `${wrong.length + streamed.length} wrong requests, ${held.length} slow or deaf clients; the app answered ${requests} of ${requests}`,
    );
  },
);
