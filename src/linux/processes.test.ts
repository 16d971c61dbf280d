import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "node:test";
import { dropsTerm } from "./processes.ts";

test("dropsTerm() tells a process that hears SIGTERM from one that does not", async () => {
  const deaf = spawn("sleep", ["60"], { stdio: "ignore" });
  const script = "process.on('SIGTERM', () => {}); console.log('ready'); setTimeout(() => {}, 60000)";
  const hearing = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    await once(hearing.stdout, "data");
    assert.equal(dropsTerm(deaf.pid ?? 0), true);
    assert.equal(dropsTerm(hearing.pid ?? 0), false);
  } finally {
    deaf.kill("SIGKILL");
    hearing.kill("SIGKILL");
  }
});
