import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { chown } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { RunSettings, VolumeMount } from "../../model/content.ts";
import type { InstanceName } from "../../model/names.ts";
import { web } from "../../ports/runtime.suite.ts";
import { busyboxLayer, createBench, eventually, layerTar, putImage, type Bench } from "./fixture.suite.ts";
import type { RuncRuntime } from "./runtime.ts";

const volume = (path: string, sharing: VolumeMount["sharing"] = "exclusive"): VolumeMount => ({
  path,
  sharing,
  snapshot: false,
});

async function opened(t: TestContext): Promise<{ readonly bench: Bench; readonly runtime: RuncRuntime }> {
  const bench = await createBench();
  const runtime = await bench.runtime();
  t.after(() => bench.end(runtime));
  return { bench, runtime };
}

function settings(script: string, volumes: RunSettings["volumes"]): Partial<RunSettings> {
  return {
    command: ["/bin/sh", "-c", `trap 'exit 0' TERM; ${script}\necho done; while true; do sleep 1000 & wait $!; done`],
    ...(volumes === undefined ? {} : { volumes }),
  };
}

async function said(runtime: RuncRuntime, name: InstanceName): Promise<readonly string[]> {
  return eventually(async () => {
    const { logTail, exit } = await runtime.facts(name);
    assert.equal(exit, null, logTail.join("\n"));
    return logTail.at(-1) === "done" ? logTail.slice(0, -1) : undefined;
  });
}

test("what an instance writes to its volume is there for the next one, and its owner is the image's user", async (t) => {
  const { bench, runtime } = await opened(t);
  const artifact = await putImage(bench.store, {
    layers: [
      layerTar((root) => {
        busyboxLayer(root);
        for (const [path, mode] of [
          ["given", 0o2771],
          ["forgotten", 0o755],
        ] as const) {
          mkdirSync(join(root, path));
          chmodSync(join(root, path), mode);
        }
      }),
    ],
    config: { User: "app" },
  });
  const volumes = { given: volume("/given"), forgotten: volume("/forgotten"), made: volume("/var/lib/a/b") };
  const script =
    "for d in /given /forgotten /var/lib/a/b; do stat -c '%n %u %g %a' $d; cat $d/x 2>/dev/null; echo $BRONZE_RELEASE >$d/x; done";
  const first = bench.set(artifact, settings(script, volumes), 1);
  await runtime.ensure(first, web(1, 1), bench.signal);
  const name = `${first.name}-1` as InstanceName;
  assert.deepEqual(await said(runtime, name), [
    "/given 1000 1000 2771",
    "/forgotten 1000 1000 755",
    "/var/lib/a/b 1000 1000 755",
  ]);
  const inspected = await runtime.inspect(name);
  assert.deepEqual(inspected?.observed.mounts, inspected?.expected.mounts);
  await runtime.remove([name], 2_000, bench.signal);
  const second = bench.set(artifact, settings(`${script}; true`, volumes), 2);
  await runtime.ensure(second, web(1, 1), bench.signal);
  const lines = await said(runtime, `${second.name}-1` as InstanceName);
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("/")),
    ["v1", "v1", "v1"],
  );
  const path = join(bench.places.state, "volumes/shop/production/given/data/x");
  assert.equal(readFileSync(path, "utf8"), "v2\n");
  assert.equal(statSync(path).uid, 1000);
});

test("checkVolumes() refuses a volume over files of the image, through its links too, and names them", async (t) => {
  const { bench, runtime } = await opened(t);
  const artifact = await putImage(bench.store, {
    layers: [
      layerTar((root) => {
        busyboxLayer(root);
        mkdirSync(join(root, "srv/empty"), { recursive: true });
      }),
    ],
  });
  const check = (path: string) =>
    runtime.checkVolumes(bench.set(artifact, settings("true", { data: volume(path) })).content, bench.signal);
  await assert.rejects(check("/www"), /volume "data": \/www is a folder of the image that holds \/www\/index\.html/);
  await assert.rejects(check("/www/index.html"), /a file of the image/);
  await assert.rejects(check("/srv"), { code: "VOLUME_UNFIT" });
  await check("/srv/empty");
  await check("/var/lib/data");
  assert.deepEqual(await runtime.observe(), []);
});

test("a process that somebody put into an instance holds its volume on, until it ends", async (t) => {
  const { bench, runtime } = await opened(t);
  const artifact = await putImage(bench.store, { layers: [layerTar(busyboxLayer)] });
  const first = bench.set(artifact, settings("true", { data: volume("/data") }), 1);
  const second = bench.set(artifact, settings("true;", { data: volume("/data") }), 2);
  await runtime.ensure(first, web(1, 1), bench.signal);
  const [holder] = await runtime.observe();
  assert.ok(holder?.pid);
  // Its pid namespace ends what is in it; this one is only in the mounts.
  const intruder = spawn("nsenter", ["-t", String(holder.pid), "-m", "/bin/sleep", "1000"], { stdio: "ignore" });
  t.after(() => void intruder.kill("SIGKILL"));
  await eventually(async () => (readFileSync(`/proc/${intruder.pid}/comm`, "utf8") === "sleep\n" ? true : undefined));
  await runtime.remove([holder.name], 0, bench.signal);
  await assert.rejects(runtime.ensure(second, web(1, 1), bench.signal), /attached to process/);
  intruder.kill("SIGKILL");
  await new Promise((resolve) => intruder.once("exit", resolve));
  await runtime.ensure(second, web(1, 2), bench.signal);
  assert.equal((await runtime.observe()).length, 1);
});

test("unkept() tells what lies in tmpfs folders, and nothing of volumes", async (t) => {
  const { bench, runtime } = await opened(t);
  const artifact = await putImage(bench.store, { layers: [layerTar(busyboxLayer)] });
  const script =
    "head -c 100000 /dev/zero >/tmp/a; touch /tmp/b /var/cache/c /dev/shm/d; head -c 50000 /dev/zero >/data/e";
  const set = bench.set(artifact, { ...settings(script, { data: volume("/data") }), tmpfs: ["/var/cache", "/srv"] });
  await runtime.ensure(set, web(1, 1), bench.signal);
  const name = `${set.name}-1` as InstanceName;
  await said(runtime, name);
  const places = (await runtime.unkept(name)).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  assert.deepEqual(
    places.map(({ path, files }) => [path, files]),
    [
      ["/dev/shm", 1],
      ["/tmp", 2],
      ["/var/cache", 1],
    ],
  );
  assert.ok((places[1]?.bytes ?? 0) >= 100_000);
  assert.deepEqual(await runtime.unkept("shop-production-v9-1" as InstanceName), []);
});

test("a volume that is empty goes to the user of the next image, one that is not stays", async (t) => {
  const { bench, runtime } = await opened(t);
  const layers = [layerTar(busyboxLayer)];
  const data = { data: volume("/data") };
  const path = join(bench.places.state, "volumes/shop/production/data/data");
  for (const [release, user] of [
    [1, "1000"],
    [2, "2000:3000"],
  ] as const) {
    const set = bench.set(
      await putImage(bench.store, { layers, config: { User: user } }),
      settings("true", data),
      release,
    );
    await runtime.ensure(set, web(1, 1), bench.signal);
    await runtime.remove([`${set.name}-1` as InstanceName], 0, bench.signal);
  }
  assert.deepEqual([statSync(path).uid, statSync(path).gid], [2000, 3000]);
  writeFileSync(join(path, "x"), "");
  await chown(path, 7, 7);
  const last = bench.set(await putImage(bench.store, { layers }), settings("true", data), 3);
  await runtime.ensure(last, web(1, 1), bench.signal);
  assert.equal(statSync(path).uid, 7);
});
