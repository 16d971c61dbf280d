import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import type { LogLine } from "../src/model/api/asked.ts";
import type { InstanceStatus } from "../src/model/api/status.ts";
import { createSite, eventually, keepAsking, type DeployResult, type Site } from "./support/bronze.ts";

/** A worker that says which it is, and good-bye when it is told to end. */
const work = (version: string): string =>
  [
    "#!/bin/busybox sh",
    `trap 'echo "bye from ${version}"; exit 0' TERM`,
    `echo "here is ${version}"`,
    "while :; do /bin/busybox sleep 0.05 & wait $!; done",
    "",
  ].join("\n");

/** One that eats memory until the kernel ends it. */
const hungry = ["#!/bin/busybox sh", "x=0123456789; while :; do x=$x$x; done", ""].join("\n");

async function workers(site: Site): Promise<readonly InstanceStatus[]> {
  const { instances } = await site.status();
  return instances.filter(({ process }) => process === "worker");
}

const namesOf = (instances: readonly InstanceStatus[]): readonly string[] => instances.map(({ name }) => name);

/** Waits until these are the workers there are, and all of them are healthy. */
async function workersAre(site: Site, ...names: string[]): Promise<void> {
  await eventually(`workers are ${names.join(", ")}`, async () => {
    const seen = await workers(site);
    return namesOf(seen).join() === names.join() && seen.every(({ health }) => health === "healthy");
  });
}

async function logs(site: Site, name: string): Promise<readonly string[]> {
  const { stdout } = await site.bronze(["logs", name, "--json"]);
  const lines = stdout.trim() === "" ? [] : stdout.trim().split("\n");
  return lines.map((line) => (JSON.parse(line) as LogLine).text);
}

test("a worker goes with its release: deploy, crash, scale, rollback, and what keeps ending is taken back", async (t) => {
  const site = createSite(t);
  site.define({
    instances: 1,
    top: ["processes: { worker: { command: [/bin/busybox, sh, /work], resources: { memory: 16Mi }, drain: 5s } }"],
  });
  site.write({ "root/work": work("one") }, 0o755);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  const load = keepAsking(url ?? "");
  await workersAre(site, "shop-production-v1-worker-1");
  const [first] = await workers(site);
  assert.ok(first?.pid);
  assert.match(readFileSync(`/proc/${first.pid}/cmdline`, "utf8"), /^\/bin\/busybox\0sh\0\/work\0/);

  site.write({ "root/work": work("two") }, 0o755);
  await site.json(["up"]);
  await workersAre(site, "shop-production-v2-worker-1");
  assert.deepEqual(await logs(site, first.name), ["here is one", "bye from one"]);
  assert.match((await site.bronze(["status"])).stdout, /rollback ready: v1, 1\/1 warm, 1 worker to start then/);

  const [second] = await workers(site);
  process.kill(second?.pid ?? 0, "SIGKILL");
  await workersAre(site, "shop-production-v2-worker-2");
  await site.json(["scale", "worker=2"]);
  await workersAre(site, "shop-production-v2-worker-2", "shop-production-v2-worker-3");

  const back = await site.json<DeployResult>(["rollback"]);
  assert.deepEqual([back.release, back.of, back.warm], [3, 1, true]);
  await workersAre(site, "shop-production-v1-worker-2", "shop-production-v1-worker-3");
  const said = await logs(site, "worker");
  assert.equal(said.filter((line) => line === "bye from two").length, 2);
  assert.equal(said.filter((line) => line === "here is one").length, 3);

  site.write({ "root/work": hungry }, 0o755);
  await site.json(["up"]);
  await eventually("v4 is taken back", async () => (await site.status()).live?.release === 5);
  const [, , , hungryRelease, restored] = await site.releases();
  assert.match(
    hungryRelease?.failure ?? "",
    /its worker keeps ending, 2 times since the switch: the last exited with status 137, out of memory/,
  );
  assert.deepEqual([restored?.automatic, restored?.of], [true, 1]);
  assert.match((await site.bronze(["history"])).stdout, /v4-worker-1 exited with status 137, out of memory/);
  await eventually("v1 works again", async () =>
    (await workers(site)).some(({ name, health }) => name.startsWith("shop-production-v1-") && health === "healthy"),
  );
  assert.deepEqual((await load.stop()).failures, []);
});
