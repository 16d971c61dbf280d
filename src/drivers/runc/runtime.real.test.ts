import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { sha256 } from "../../model/canonical.ts";
import { runtimeSuite, web } from "../../ports/runtime.suite.ts";
import { createBench, putPatientImage, supervisorOf } from "./fixture.suite.ts";

runtimeSuite("runc runtime", async () => {
  const bench = await createBench();
  let current = await bench.runtime();
  return {
    runtime: current,
    artifact: await putPatientImage(bench.store),
    lacking: sha256("nothing"),
    failing: { command: ["/no/such/program"] },
    task: (line, code) => ["/bin/sh", "-c", `echo ${line}; sleep 0.1; exit ${code}`],
    endless: ["/bin/sleep", "1000"],
    async crash({ pid }) {
      process.kill(pid ?? assert.fail("it does not run"), "SIGKILL");
    },
    async orphan({ name }) {
      process.kill(supervisorOf(bench.places, name), "SIGKILL");
    },
    async resolve(name, app) {
      const pid = (await current.observe()).find((one) => one.name === name)?.pid ?? assert.fail("it does not run");
      const lines = readFileSync(`/proc/${pid}/root/etc/hosts`, "utf8").split("\n");
      return lines.flatMap((line) => (line.endsWith(`\t${app}`) ? (line.split("\t")[0] ?? "").trim() : []));
    },
    leave() {
      current.stop();
      return async () => {
        current = await bench.runtime();
        return current;
      };
    },
    end: () => bench.end(current),
  };
});

test("runc runtime: ensure() fails, and leaves nothing, where conmon is killed as it hands over to its child", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  const path = process.env["PATH"] ?? "";
  const folder = mkdtempSync(join(tmpdir(), "bz-conmon-"));
  // The process that was spawned is killed; the one that stays goes on.
  writeFileSync(join(folder, "conmon"), `#!/bin/sh\nPATH='${path}'\nconmon "$@" &\nsleep 0.2\nkill -9 $$\n`, {
    mode: 0o755,
  });
  process.env["PATH"] = `${folder}:${path}`;
  try {
    const set = bench.set(await putPatientImage(bench.store));
    await assert.rejects(runtime.ensure(set, web(1, 1), bench.signal), /conmon was killed/);
    process.env["PATH"] = path;
    assert.deepEqual(await runtime.observe(), []);
    await runtime.ensure(set, web(1, 1), bench.signal);
    assert.equal((await runtime.observe()).length, 1);
    await runtime.remove(
      (await runtime.observe()).map(({ name }) => name),
      0,
      bench.signal,
    );
  } finally {
    process.env["PATH"] = path;
    rmSync(folder, { recursive: true });
    await bench.end(runtime);
  }
});

test("runc runtime: ensure() says which program the image lacks", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const set = bench.set(await putPatientImage(bench.store), { command: ["/no/such/program"] });
    await assert.rejects(runtime.ensure(set, web(1, 1), bench.signal), (error: Error & { hint: string }) => {
      assert.match(error.message, /\/no\/such\/program/);
      assert.match(error.hint, /command/);
      return true;
    });
  } finally {
    await bench.end(runtime);
  }
});
