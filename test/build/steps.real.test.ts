import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test from "node:test";
import { machineTraces } from "../../src/drivers/steps/fixture.suite.ts";
import { createSite, launcher, type Site } from "../support/bronze.ts";

const patient = 'FROM scratch\nCOPY root/ /\nRUN ["/bin/busybox", "sh", "-c", "echo begun; busybox sleep 1000"]\n';

/** Begins a build whose step does not end, and ends it by a signal once the step runs. @returns its exit status */
async function endedBy(site: Site, signal: NodeJS.Signals): Promise<number | null> {
  const args = ["build", "--progress", "plain", "--state", site.state];
  const build = spawn(launcher, args, { cwd: site.project, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(build, "close");
  let said = "";
  let isSent = false;
  build.stderr.on("data", (piece: Buffer) => {
    said += piece.toString();
    if (isSent || !/\| begun$/m.test(said)) return;
    isSent = true;
    build.kill(signal);
  });
  const [status] = (await ended) as [number | null];
  assert.ok(isSent, said);
  return status;
}

const processesOf = (traces: readonly string[]): readonly string[] =>
  traces.filter((trace) => trace.startsWith("process "));

test("`bronze build` in a step: Ctrl-C leaves nothing; what kill -9 leaves goes with doctor --repair and down --all", async (t) => {
  const site = createSite(t);
  site.write({ Dockerfile: patient });
  const traces = (): readonly string[] => machineTraces(site.state);

  assert.equal(await endedBy(site, "SIGINT"), 130);
  assert.deepEqual(traces(), []);

  for (const repair of [
    ["doctor", "--repair"],
    ["down", "--all"],
  ]) {
    await endedBy(site, "SIGKILL");
    for (let tries = 0; processesOf(traces()).length > 0; tries += 1) {
      assert.ok(tries < 3000, processesOf(traces()).join("\n"));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(traces().length > 0, "control groups and rules of the firewall are left");
    const repaired = await site.bronze(repair);
    assert.match(
      `${repaired.stdout}${repaired.stderr}`,
      repair[0] === "doctor" ? /builder is gone; mended/ : /is down/,
    );
    assert.deepEqual(traces(), [], join(...repair));
  }
});
