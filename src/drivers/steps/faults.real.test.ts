import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { freeBytes } from "../../linux/disk.ts";
import { loadSyscalls } from "../../linux/syscalls.ts";
import { createStepBench, machineTraces } from "./fixture.suite.ts";
import { stepLeftovers, stepsFolder } from "./place.ts";

async function eventually(look: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!look()) {
    if (performance.now() > end) assert.fail(`${what} did not come to pass within 60 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const processesOf = (folder: string): readonly string[] =>
  machineTraces(folder).filter((trace) => trace.startsWith("process "));

test("a builder killed at any moment leaves no process, and the next one finds nothing of it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-steps-"));
  try {
    const suite = new URL("fixture.suite.ts", import.meta.url).href;
    const program = `
      const { createStepBench } = await import(${JSON.stringify(suite)});
      const bench = await createStepBench(process.argv[1]);
      await bench.step("true");
      console.log("ready");
      for (;;) await bench.step("echo > /a; busybox seq 1 20000 > /b; sleep 0.3 & sleep 0.1", { network: "egress" });
    `;
    // One moment for each part of a step, and some that nobody chose.
    const delays = [0, 15, 35, 60, 100, 190, 410];
    let cutInMidStep = 0;
    for (const delay of delays) {
      const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program, folder];
      const builder = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      builder.stderr.on("data", (piece: Buffer) => (said += piece.toString()));
      const ended = once(builder, "close");
      await Promise.race([once(builder.stdout, "data"), ended]);
      await new Promise((resolve) => setTimeout(resolve, delay));
      builder.kill("SIGKILL");
      assert.deepEqual([...(await ended), said], [null, "SIGKILL", ""], "it would have gone on");
      await eventually(() => processesOf(folder).length === 0, "the end of all processes");
      if (readdirSync(join(folder, "cache/steps")).length > 0) cutInMidStep += 1;
    }
    assert.ok(cutInMidStep > 0);
    const steps = stepsFolder(join(folder, "cache"));
    const [first, ...others] = await stepLeftovers(steps);
    assert.equal(others.length, 0, "each builder removed what the one before it left");
    assert.match(first?.finding ?? "", /whose builder is gone/);
    await first?.remove();
    assert.deepEqual([machineTraces(folder), readdirSync(steps)], [[], []]);
    const bench = await createStepBench(folder);
    const { layer } = await bench.step("echo whole > /a");
    assert.equal(await bench.bytes(layer, "a"), "whole\n");
    await bench.runner.close();
    assert.deepEqual(machineTraces(folder), []);
    assert.deepEqual(readdirSync(join(folder, "cache/steps")), []);
    t.diagnostic(`${delays.length} builders killed, ${cutInMidStep} of them with folders left to the next`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("an interrupted step ends at once with all it started, and leaves nothing", async () => {
  const bench = await createStepBench();
  try {
    const reason = new OperatorError("INTERRUPTED", "Cannot finish: interrupted", { hint: "run it again" });
    for (const delay of [0, 30, 60, 100, 1000]) {
      const interruption = new AbortController();
      const step = bench.step("sleep 1000 & sleep 1000", { network: "egress" }, interruption.signal);
      const rejected = assert.rejects(step, (error) => error === reason);
      setTimeout(() => interruption.abort(reason), delay);
      await rejected;
      assert.deepEqual(processesOf(bench.folder), [], `after ${delay} ms`);
      for (const builder of readdirSync(join(bench.cache, "steps")))
        assert.deepEqual(readdirSync(join(bench.cache, "steps", builder)), []);
    }
  } finally {
    await bench.end();
    assert.deepEqual(machineTraces(bench.folder), []);
  }
});

test("programs that start others without end are ended with all of them, and that is said", async () => {
  const bench = await createStepBench(undefined, { mostProcesses: 200 });
  try {
    await assert.rejects(bench.step("f() { f | f & sleep 1000; }; f"), {
      code: "BUILD_FAILED",
      message: /it started more than 200 processes/,
    });
    assert.deepEqual(processesOf(bench.folder), []);
    assert.equal((await bench.step("echo next")).output, "next\n");
  } finally {
    await bench.end();
    assert.deepEqual(machineTraces(bench.folder), []);
  }
});

test("a step that fills the disk fails with exit status 11 and gives the room back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-steps-"));
  const disk = join(folder, "disk");
  mkdirSync(disk);
  const syscalls = loadSyscalls();
  syscalls.mount("bronze-test", disk, "tmpfs", 0, "size=24m");
  try {
    const bench = await createStepBench(disk);
    await bench.step("true");
    const free = freeBytes(disk) ?? 0;
    for (const fill of [
      "busybox dd if=/dev/zero of=/big bs=1M count=100",
      "busybox dd if=/dev/zero of=/big bs=1M count=100; rm /big; exit 1",
      // What it says of it is not told to us.
      "busybox dd if=/dev/zero of=/big bs=1M count=100 > /dev/null 2>&1",
      // It fits there, and not once more as a layer.
      "busybox dd if=/dev/zero of=/big bs=1M count=12 2> /dev/null",
    ]) {
      const failure = await bench.step(fill).catch((error: unknown) => error);
      assert.ok(failure instanceof OperatorError, String(failure));
      assert.deepEqual([failure.code, failure.exitStatus], ["DISK_FULL", 11], failure.message);
      assert.ok((freeBytes(disk) ?? 0) > free - 1024 * 1024, `${freeBytes(disk)} free, ${free} before`);
    }
    assert.equal((await bench.step("echo again > /f && cat /f")).output, "again\n");
    await bench.runner.close();
    assert.deepEqual(processesOf(disk), []);
  } finally {
    syscalls.unmount(disk);
    rmSync(folder, { recursive: true, force: true });
  }
});

test("unpacked layers of an earlier boot, and damaged ones without a word of their boot, are made anew", async () => {
  const bench = await createStepBench();
  try {
    await bench.step("true");
    const kept = join(bench.tree(bench.base), "..");
    spawnSync("sh", ["-c", 'rm -r "$1"/tree/bin && echo 00000000-0000-0000-0000-000000000000 > "$1"/boot', "sh", kept]);
    assert.ok(!existsSync(join(kept, "tree/bin")));
    assert.equal((await bench.step("echo works")).output, "works\n");
  } finally {
    await bench.end();
  }
});
