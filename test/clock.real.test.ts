import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import type { AuditReport } from "../src/model/api/trust.ts";
import { createSite, dockerfile, eventually, get, keepAsking, launcher, type DeployResult } from "./support/bronze.ts";

/** The library that gives a process and its children a time of day of their own. @see faketime(1) */
function fakeTimeLibrary(): string {
  const found = readdirSync("/usr/lib", { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.endsWith("-linux-gnu"))
    .map(({ name }) => join("/usr/lib", name, "faketime/libfaketime.so.1"))
    .find((file) => readdirSync(dirname(dirname(file))).includes("faketime"));
  if (found === undefined) throw new Error("faketime is missing: ./check installs it");
  return found;
}

/** Listens a while after its start: there is time to do something to its rollout. */
const slow = [
  "/bin/busybox",
  "sh",
  "-c",
  "trap 'kill $!; exit 0' TERM; /bin/busybox sleep 2; /bin/busybox httpd -f -p 8080 -h /www & wait $!",
];

test(
  "a clock that jumps an hour either way, under the daemon and while it is dead, changes nothing but the stamps",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    const time = join(dirname(site.state), "time");
    const set = (offset: string): void => writeFileSync(time, `${offset}\n`);
    set("+0");
    const env = {
      LD_PRELOAD: fakeTimeLibrary(),
      FAKETIME_TIMESTAMP_FILE: time,
      FAKETIME_NO_CACHE: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
    const environment = ["deadline: 1m", "rollback: { keepWarm: 10m, watch: 5s }"];
    site.define({ environment });
    // A daemon that a command starts gets none of these variables.
    const serve = async (port: string): Promise<void> => {
      const child = spawn(launcher, ["serve", "--http-port", port, "--state", site.state], {
        env: { ...process.env, ...env },
        stdio: "ignore",
        detached: true,
      });
      t.after(() => child.kill());
      await eventually("the daemon answers", async () => (await site.bronze(["status"])).status === 0);
    };
    await serve("0");
    const first = await site.bronze(["up", "--wait", "proven"]);
    assert.equal(first.status, 0, first.stderr);
    const { url } = await site.status();
    const load = keepAsking(url, 20);
    t.after(() => load.stop());

    let release = 1;
    for (const offset of ["+3600", "+0"]) {
      const from = release;
      site.write({ Dockerfile: dockerfile(slow), "root/www/index.html": `v${from + 1}\n` });
      const deploying = site.json<DeployResult>(["up"]);
      await eventually("the rollout is under way", async () => (await site.status()).rollout !== null);
      set(offset);
      assert.equal((await deploying).release, from + 1, "a jump during the rollout");
      const watched = await site.status();
      assert.equal(watched.live?.state, "watching");
      assert.equal(watched.rollback.target, 1);

      // While the daemon is dead the clock jumps back, and after its start forward again.
      const { pid } = (await site.json<StatusReport>(["status"])).daemon;
      process.kill(pid, "SIGKILL");
      set(offset === "+0" ? "+3600" : "+0");
      assert.equal((await site.bronze(["status"])).status, 9);
      await serve(new URL(url).port);
      assert.equal((await site.bronze(["up"])).status, 0);
      set(offset);
      await eventually("proven", async () => (await site.status()).live?.state === "proven");
      const rollback = await site.json<DeployResult>(["rollback"]);
      assert.deepEqual([rollback.release, rollback.of, rollback.warm], [from + 2, 1, true]);
      assert.equal((await get(url)).body, "v1\n");
      release = from + 2;
    }

    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    const report = await site.json<AuditReport>(["audit", "verify"]);
    assert.ok(report.ok);
    const jumps = (await site.json<readonly LedgerEvent[]>(["history", "--all", "--limit", "1000"])).filter(
      ({ data }) => data.kind === "clock.jumped",
    );
    assert.ok(jumps.length >= 4, `${jumps.length} jumps recorded`);
    t.diagnostic(`${requests} requests, 0 failed; ${jumps.length} jumps of the clock recorded`);
  },
);
