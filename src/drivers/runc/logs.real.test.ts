import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { LogLine } from "../../model/api/asked.ts";
import { instanceName } from "../../model/names.ts";
import { busyboxLayer, createBench, eventually, layerTar, putImage } from "./fixture.suite.ts";
import { rotateIfLarge } from "./log-rotation.ts";
import { readLogs } from "./logs.ts";
import { foldersOf, instancePaths } from "./record.ts";
import { web } from "../../ports/runtime.suite.ts";

test("rotation while an instance writes loses no line, and a follower sees each once", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  const stop = new AbortController();
  try {
    const count = 20_000;
    const artifact = await putImage(bench.store, { layers: [layerTar(busyboxLayer)] });
    const set = bench.set(artifact, {
      command: [
        "/bin/sh",
        "-c",
        `echo ready; while [ ! -e /tmp/go ]; do sleep 0.05; done; i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "line $i of many, padded to be long enough to matter"; done; exec sleep 1000`,
      ],
    });
    await runtime.ensure(set, web(1, 1), bench.signal);
    const name = instanceName(set.name, 1);
    const followed: string[] = [];
    const following = (async () => {
      for await (const line of readLogs(bench.places, { instance: name, lines: 1, follow: true, signal: stop.signal }))
        followed.push(line.text);
    })();
    await eventually(async () => (followed.length === 1 ? true : undefined));
    const [instance] = await runtime.observe();
    execFileSync("nsenter", [
      "--target",
      String(instance?.pid),
      "--mount",
      "--root",
      "--wd",
      "/bin/busybox",
      "touch",
      "/tmp/go",
    ]);
    const paths = instancePaths(foldersOf(bench.places), name);
    let rotations = 0;
    await eventually(async () => {
      if (rotations < 3 && (await rotateIfLarge(paths, 200_000))) rotations += 1;
      return followed.length > count ? true : undefined;
    });
    assert.ok(rotations >= 1);
    const expected = [
      "ready",
      ...Array.from({ length: count }, (_, index) => `line ${index + 1} of many, padded to be long enough to matter`),
    ];
    assert.deepEqual(followed, expected);
    const read: LogLine[] = [];
    for await (const line of readLogs(bench.places, {
      app: set.app,
      environment: set.environment,
      lines: count + 1,
      follow: false,
      signal: stop.signal,
    }))
      read.push(line);
    assert.deepEqual(
      read.map(({ text }) => text),
      expected,
    );
    assert.equal(readdirSync(join(bench.places.log, "instances")).length, rotations + 1);
    stop.abort();
    await following;
  } finally {
    stop.abort();
    await bench.end(runtime);
  }
});

test("readLogs() joins long lines, tells streams apart, keeps the order of several instances, and gives the last lines asked for", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const artifact = await putImage(bench.store, { layers: [layerTar(busyboxLayer)] });
    const set = bench.set(artifact, {
      command: [
        "/bin/sh",
        "-c",
        "echo first; sleep 0.2; head -c 30000 /dev/zero | tr '\\0' x; echo; echo oops >&2; exec sleep 1000",
      ],
    });
    await runtime.ensure(set, web(2, 1), bench.signal);
    const signal = new AbortController().signal;
    const read = async (lines: number): Promise<readonly LogLine[]> => {
      const found: LogLine[] = [];
      for await (const line of readLogs(bench.places, { set: set.name, lines, follow: false, signal }))
        found.push(line);
      return found;
    };
    const all = await eventually(async () => {
      const now = await read(100);
      return now.length === 6 ? now : undefined;
    });
    assert.equal(all.filter(({ text }) => text === "x".repeat(30_000)).length, 2);
    assert.deepEqual(
      all.filter(({ stream }) => stream === "stderr").map(({ text }) => text),
      ["oops", "oops"],
    );
    assert.deepEqual(
      all.map(({ at }) => at),
      all.map(({ at }) => at).toSorted(),
    );
    assert.deepEqual(await read(2), all.slice(-2));
    const names = (await runtime.observe()).map(({ name }) => name);
    await runtime.remove(names, 0, bench.signal);
    assert.deepEqual(await read(100), all, "logs of removed instances are kept");
  } finally {
    await bench.end(runtime);
  }
});
