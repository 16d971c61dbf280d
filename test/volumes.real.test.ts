import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import type { VolumeResult, VolumeRow } from "../src/model/api/volumes.ts";
import { createSite, dockerfile, eventually, get, keepAsking, type Site } from "./support/bronze.ts";
import type { VolumeKind } from "./support/volume.ts";

/** Writes a line for each of its starts into its volume, and shows the file; it takes a moment to end. */
const keeper = [
  "/bin/busybox",
  "sh",
  "-c",
  "echo $BRONZE_RELEASE >>/data/starts; echo x >/tmp/lost; trap 'kill $!; /bin/busybox sleep 0.3; exit 0' TERM; /bin/busybox httpd -f -p 8080 -h /data & wait $!",
];

function siteOn(t: TestContext, kind: VolumeKind, mount: string): Site {
  const site = createSite(t, { kind, mebibytes: 400 });
  site.write({ Dockerfile: dockerfile(keeper) });
  define(site, mount);
  return site;
}

/** @param drain makes new content of the same artifact */
function define(site: Site, mount: string, drain = "30s"): void {
  site.define({
    instances: 1,
    run: [`drain: ${drain}`, `volumes: { ${mount} }`],
    environment: ["rollback: { watch: 0s }"],
  });
}

async function up(site: Site): Promise<string> {
  const result = await site.bronze(["up", "--http-port", "0"]);
  assert.equal(result.status, 0, result.stderr);
  return result.stderr;
}

/** What was answered with anything but the page, or broken off: one that waits for long is neither. */
function refusals(failures: readonly string[]): readonly string[] {
  return failures.filter((failure) => !failure.startsWith("no answer"));
}

async function starts(site: Site): Promise<readonly string[]> {
  const url = (await site.json<StatusReport>(["status"])).daemon.url;
  const { status, body } = await get(`${url}/starts`);
  assert.equal(status, 200);
  return body.trim().split("\n");
}

test("a volume goes from release to release without a failed request, and back from a snapshot, on btrfs", async (t) => {
  const plain = "data: { path: /data, snapshot: true }";
  const site = siteOn(t, "btrfs", plain);
  await up(site);
  assert.deepEqual(await starts(site), ["v1"]);
  const { url } = (await site.json<StatusReport>(["status"])).daemon;
  define(site, plain, "20s");
  const load = keepAsking(`${url}/starts`);
  const said = await up(site);
  const { failures, requests } = await load.stop();
  assert.deepEqual(refusals(failures), []);
  assert.ok(requests > 10);
  assert.match(
    said,
    /shop-production-v1 is ended before v2 starts: shop\/production\/data can be attached to one only/,
  );
  assert.match(said, /snapshot before-v2 of volume data made/);
  assert.deepEqual(await starts(site), ["v1", "v2"]);

  const status = (await site.bronze(["status"])).stdout;
  assert.match(status, /stop-first: one instance has volume data at a time.*last time \d/);
  assert.match(status, /not kept: \/tmp holds .* in 1 file of 1 instance, lost with it/);
  assert.match(status, /rollback from cold: v1.*stop-first for data/);
  const { stopFirst, instances } = await site.status();
  assert.ok(stopFirst?.lastMs && stopFirst.lastMs < 20_000);
  assert.deepEqual(
    instances.flatMap(({ unkept }) => unkept.map(({ path, files }) => [path, files])),
    [["/tmp", 1]],
  );

  const [volume] = await site.json<readonly VolumeRow[]>(["volume", "list"]);
  assert.deepEqual(
    [volume?.name, volume?.way, volume?.attachedTo, volume?.releases],
    ["data", "subvolume", ["shop-production-v2-1"], ["v1", "v2"]],
  );
  const made = await site.json<VolumeResult>(["volume", "snapshot", "data", "--snapshot", "mine"]);
  assert.equal(made.torn, false);

  const restored = await site.json<VolumeResult>(["volume", "restore", "data", "--snapshot", "before-v2"]);
  assert.match(restored.volume, /^data-\d{8}-\d{6}$/);
  define(site, `${restored.volume}: /data`, "20s");
  await up(site);
  assert.deepEqual(await starts(site), ["v1", "v3"]);
  assert.equal((await site.bronze(["rollback"])).status, 0);
  assert.deepEqual(await starts(site), ["v1", "v2", "v4"]);

  const tar = join(dirname(site.project), "data.tar");
  assert.equal((await site.bronze(["volume", "export", "data", "--snapshot", "mine", "-o", tar])).status, 0);
  assert.equal(execFileSync("tar", ["-xOf", tar, "./starts"], { encoding: "utf8" }), "v1\nv2\n");
  assert.match(execFileSync("tar", ["-tvf", tar], { encoding: "utf8" }), /65532\/65532/);
  assert.equal((await site.bronze(["volume", "export", "data", "-o", tar])).status, 0);
  assert.equal(execFileSync("tar", ["-xOf", tar, "./starts"], { encoding: "utf8" }), "v1\nv2\nv4\n");

  const inUse = await site.bronze(["volume", "remove", "data", "--yes"]);
  assert.deepEqual([inUse.status, /shop-production-v4-1/.test(inUse.stderr)], [8, true]);
  assert.equal((await site.bronze(["volume", "remove", "data", "--snapshot", "mine"])).status, 6);
  assert.equal((await site.bronze(["volume", "remove", "data", "--snapshot", "mine", "--yes"])).status, 0);
  const down = await site.bronze(["down"]);
  assert.match(down.stdout, /volumes stay/);
  assert.deepEqual(
    (await site.json<readonly VolumeRow[]>(["volume", "list"])).map(({ name }) => name),
    ["data", restored.volume],
  );
  const needed = await site.bronze(["volume", "remove", "data"]);
  assert.deepEqual([needed.status, /v1.* for a rollback/.test(needed.stderr)], [6, true], needed.stderr);
  assert.equal((await site.bronze(["volume", "remove", "data", "--yes"])).status, 0);
});

test("volumes that cannot be are refused before anything stops; a release that fails brings back what it ended, on xfs", async (t) => {
  const site = siteOn(t, "xfs", "data: /data");
  await up(site);
  const untouched = async (): Promise<void> => {
    const { live, instances } = await site.status();
    assert.deepEqual([live?.release, instances.map(({ name }) => name)], [1, ["shop-production-v1-1"]]);
    assert.equal((await site.releases()).length, 1);
  };
  site.define({ instances: 2, run: ["volumes: { data: /data }"] });
  const two = await site.bronze(["up"]);
  assert.deepEqual(
    [two.status, /environments\.production\.instances: 2 instances/.test(two.stderr)],
    [2, true],
    two.stderr,
  );
  define(site, "data: /bin");
  const hidden = await site.bronze(["up"]);
  assert.deepEqual([hidden.status, /\/bin\/busybox/.test(hidden.stderr)], [2, true], hidden.stderr);
  define(site, "data: /data");
  await untouched();

  const { url } = (await site.json<StatusReport>(["status"])).daemon;
  site.write({ Dockerfile: dockerfile(["/bin/busybox", "sh", "-c", "echo broken >>/data/starts; exit 3"]) });
  const load = keepAsking(`${url}/starts`);
  const failed = await site.bronze(["up"]);
  assert.equal(failed.status, 5, failed.stderr);
  await eventually("what was live is back", async () => (await site.status()).healthy === 1);
  const { failures } = await load.stop();
  assert.deepEqual(refusals(failures), []);
  assert.deepEqual(await starts(site), ["v1", "broken", "v1"]);
  const [volume] = await site.json<readonly VolumeRow[]>(["volume", "list"]);
  assert.deepEqual([volume?.way, volume?.attachedTo], ["reflink", ["shop-production-v1-2"]]);
});

test("a daemon killed in the middle of a handover: the next one goes on, and what it left half-made goes", async (t) => {
  const mount = "data: { path: /data, snapshot: true }";
  const site = siteOn(t, "xfs", mount);
  await up(site);
  const { daemon } = await site.json<StatusReport>(["status"]);
  define(site, mount, "20s");
  const load = keepAsking(`${daemon.url}/starts`);
  const rollout = site.bronze(["up"]);
  const ledger = async (): Promise<string> => (await site.bronze(["history"])).stdout;
  await eventually("v1 stands back", async () => /is ended before v2 starts/.test(await ledger()));
  process.kill(daemon.pid, "SIGKILL");
  const half = join(site.state, "volumes/shop/production/data/snapshots/.making-1-1-00ff");
  execFileSync("mkdir", ["-p", join(half, "data")]);
  writeFileSync(join(half, "data/x"), "half");
  execFileSync("chattr", ["+i", join(half, "data/x")]);
  const doctor = await site.bronze(["doctor", "--repair"]);
  assert.match(doctor.stdout, /being made or removed/);
  assert.ok(!existsSync(half));
  await up(site);
  await rollout;
  await eventually("v2 is live", async () => (await site.status()).live?.release === 2);
  const { failures } = await load.stop();
  assert.deepEqual(refusals(failures), []);
  const lines = readFileSync(join(site.state, "volumes/shop/production/data/data/starts"), "utf8").trim().split("\n");
  assert.deepEqual(lines, ["v1", "v2"]);
  assert.deepEqual(
    (await site.json<readonly VolumeRow[]>(["volume", "list"]))[0]?.snapshots.map(({ name }) => name),
    ["before-v2"],
  );
});
