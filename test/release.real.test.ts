import assert from "node:assert/strict";
import test from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import { createSite, dockerfile, eventually, get, keepAsking, server, type DeployResult } from "./support/bronze.ts";

test("up releases, replaces and rolls back without one failed request", { timeout: 180_000 }, async (t) => {
  const site = createSite(t);
  const first = await site.json<DeployResult>(["up", "--http-port", "0"]);
  assert.equal(first.release, 1);
  assert.equal((await get(first.url)).body, "v1\n");

  const load = keepAsking(first.url);
  site.write({ "root/www/index.html": "v2\n" });
  const second = await site.json<DeployResult>(["up"]);
  assert.deepEqual([second.release, second.state, second.created], [2, "watching", true]);
  assert.equal((await get(first.url)).body, "v2\n");

  const again = await site.json<DeployResult>(["up"]);
  assert.deepEqual([again.release, again.created], [2, false]);

  const status = await site.status();
  assert.equal(status.live?.release, 2);
  assert.equal(status.healthy, 2);
  assert.deepEqual([status.rollback.target, status.rollback.warm, status.rollback.ready], [1, 2, true]);

  const back = await site.json<DeployResult>(["rollback"]);
  assert.deepEqual([back.release, back.of, back.warm, back.state], [3, 1, true, "proven"]);
  assert.equal((await get(first.url)).body, "v1\n");
  const { requests, failures, bodies } = await load.stop();
  assert.deepEqual(failures, []);
  assert.deepEqual(bodies, ["v1", "v2"]);
  assert.ok(requests > 50, `${requests} requests`);

  const none = await site.bronze(["rollback"]);
  assert.equal(none.status, 4);
  assert.match(none.stderr, /NO_ROLLBACK_TARGET/);

  const releases = await site.releases();
  assert.deepEqual(
    releases.map(({ release, of, state, live }) => [release, of, state, live]),
    [
      [1, null, "proven", false],
      [2, null, "taken back", false],
      [3, 1, "proven", true],
    ],
  );
  const text = await site.bronze(["status"]);
  assert.match(text.stdout, /v3 \(= v1\)/);
  assert.match(text.stdout.trim().split("\n").at(-1) ?? "", /^rollback/);
  const audit = await site.json<{ ok: boolean; projectionsEqual: boolean }>(["audit", "verify"]);
  assert.deepEqual([audit.ok, audit.projectionsEqual], [true, true]);
});

test("a release that fails under traffic is taken back by itself", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write(
    { "root/www/cgi-bin/app": "#!/bin/busybox sh\nprintf 'Status: 500 Broken\\r\\n\\r\\nbroken\\n'\n" },
    0o755,
  );
  site.write({ "root/www/index.html": "v2\n" });
  const second = await site.json<DeployResult>(["up"]);
  assert.equal(second.state, "watching");
  for (let i = 0; i < 40; i += 1) await get(`${url}cgi-bin/app`).catch(() => {});
  await eventually("v2 is taken back", async () => (await site.status()).live?.release === 3);
  assert.equal((await get(url)).body, "v1\n");
  const [, bad, restored] = await site.releases();
  assert.equal(bad?.state, "taken back");
  assert.match(bad?.failure ?? "", /requests within 5 s failed/);
  assert.deepEqual([restored?.automatic, restored?.of, restored?.state], [true, 1, "proven"]);
});

test("scale changes instances without a release; a killed instance is replaced", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  await site.json(["scale", "3"]);
  let status = await site.status();
  assert.deepEqual([status.healthy, status.live?.release], [3, 1]);
  const load = keepAsking(url);
  const victim = status.instances[0];
  process.kill(victim?.pid ?? 0, "SIGKILL");
  await eventually("the instance is replaced", async () => {
    status = await site.status();
    return status.healthy === 3 && !status.instances.some(({ name }) => name === victim?.name);
  });
  assert.deepEqual((await load.stop()).failures, []);
  await site.json(["scale", "1"]);
  status = await site.status();
  assert.deepEqual([status.healthy, status.instances.length], [1, 1]);
});

test("the daemon may be killed: nothing is lost, and a rollback is ready again", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write({ "root/www/index.html": "v2\n" });
  await site.json<DeployResult>(["up"]);
  const before = await site.status();
  const load = keepAsking(url);
  const { daemon } = await site.json<StatusReport>(["status"]);
  process.kill(daemon.pid, "SIGKILL");
  const away = await site.bronze(["status"]);
  assert.equal(away.status, 9);
  const up = await site.json<DeployResult>(["up"]);
  assert.equal(up.created, false);
  await eventually("the rollback is ready", async () => (await site.status()).rollback.ready);
  const after = await site.status();
  assert.deepEqual(
    after.instances.map(({ name, pid }) => [name, pid]),
    before.instances.map(({ name, pid }) => [name, pid]),
  );
  const back = await site.json<DeployResult>(["rollback"]);
  assert.deepEqual([back.of, back.warm], [1, true]);
  assert.deepEqual((await load.stop()).failures, []);
});

test("a newer deploy supersedes one under way, whose caller exits 5", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write({ Dockerfile: dockerfile(["/bin/busybox", "sleep", "1000"]) });
  const stuck = site.bronze(["up"]);
  await eventually("v2 is under way", async () => (await site.status()).rollout?.release === 2);
  site.write({ Dockerfile: dockerfile(server), "root/www/index.html": "v3\n" });
  const third = await site.json<DeployResult>(["up"]);
  assert.equal(third.release, 3);
  const result = await stuck;
  assert.equal(result.status, 5);
  assert.match(result.stderr, /superseded by v3/);
});

test("two apps share the router by path, and a route has one owner", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.define({ app: "api", top: ["route: { path: /api }"] });
  site.write({ "root/www/api/index.html": "api\n", "root/www/index.html": "root of api\n" });
  const second = await site.json<DeployResult>(["up"]);
  assert.equal(second.release, 1);
  assert.equal((await get(`${url}api/`)).body, "api\n");
  assert.equal((await get(url)).body, "v1\n");
  site.define({ app: "thief", top: ["route: { path: /api }"] });
  const refused = await site.bronze(["up"]);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /api in production has it/);
});
