import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { LogLine, Ping } from "../src/model/api/asked.ts";
import type { EnvironmentStatus, StatusReport } from "../src/model/api/status.ts";
import type { AuditReport } from "../src/model/api/trust.ts";
import { createSite, dockerfile, eventually, get, keepAsking, server, type DeployResult } from "./support/bronze.ts";

/** Answers 500 to /cgi-bin/probe where its image says so. */
const probe = (status: string): string =>
  `#!/bin/busybox sh\nprintf 'Status: ${status}\\r\\nContent-Type: text/plain\\r\\n\\r\\nprobe\\n'\n`;

async function history(site: ReturnType<typeof createSite>): Promise<readonly LedgerEvent[]> {
  return site.json<readonly LedgerEvent[]>(["history"]);
}

const serving = ({ instances }: EnvironmentStatus): readonly unknown[] =>
  instances.filter(({ role }) => role === "live").map(({ name, pid }) => [name, pid]);

/** Ended as `bronze` ends without room: exit 11, where, how much is free, what to do. */
function refusedForRoom(result: { readonly status: number | null; readonly stderr: string }, what: string): void {
  assert.equal(result.status, 11, `${what}: ${result.stderr}`);
  assert.match(
    result.stderr,
    /error\[DISK_FULL\]: Cannot .*"\/.*the disk is full( \(\d+ (bytes|[KM]iB) free\))?/,
    what,
  );
  assert.match(result.stderr, /hint: +make room on that disk and run the command again; what runs goes on/, what);
}

/** The daemon in the foreground of its own process, as a service manager starts it. */
async function serve(t: TestContext, site: ReturnType<typeof createSite>): Promise<Ping> {
  const child = spawn(join(import.meta.dirname, "..", "bronze"), ["serve", "--state", site.state], {
    detached: true,
    stdio: "ignore",
  });
  child.unref();
  let pid = 0;
  await eventually("the daemon answers", async () => {
    const result = await site.bronze(["status", "--json"]);
    if (result.status !== 0) return false;
    pid = (JSON.parse(result.stdout) as StatusReport).daemon.pid;
    return true;
  });
  t.diagnostic(`daemon ${pid} came up`);
  return (await site.json<StatusReport>(["status"])).daemon;
}

for (const kind of ["ext4", "tmpfs"] as const) {
  test(
    `a full disk (${kind}): what is asked for ends with exit 11, what runs goes on, and so does work when there is room`,
    { timeout: 300_000 },
    async (t) => {
      const site = createSite(t, { kind, mebibytes: 96 });
      const { volume } = site;
      assert.ok(volume !== undefined);
      const environment = ["rollback: { keepWarm: 10m, watch: 1s }"];
      site.define({ environment });
      site.write({ "root/www/cgi-bin/probe": probe("200 OK") }, 0o755);
      const { url } = await site.json<DeployResult>(["up", "--http-port", "0", "--wait", "proven"]);
      site.write({ "root/www/index.html": "v2\n" });
      await site.json<DeployResult>(["up", "--wait", "proven"]);
      site.write({ "root/www/index.html": "built before\n" });
      const built = await site.json<{ readonly digest: string }>(["build"]);
      const acknowledged = await history(site);
      const load = keepAsking(url, 20);
      t.after(() => load.stop());
      const before = await site.status();

      volume.fill();
      await t.test("build, deploy and scale end with exit 11 and change nothing", async () => {
        site.write({ "root/www/index.html": "not built\n".repeat(10_000) });
        refusedForRoom(await site.bronze(["build"]), "build");
        refusedForRoom(await site.bronze(["up"]), "up");
        refusedForRoom(await site.bronze(["deploy", built.digest]), "deploy");
        refusedForRoom(await site.bronze(["scale", "3"]), "scale");
        const after = await site.status();
        assert.deepEqual([after.live?.release, after.rollout, after.settings.instances], [2, null, 2]);
        assert.deepEqual(serving(after), serving(before));
        assert.deepEqual(await history(site), acknowledged);
      });

      await t.test("status, logs, history and audit go on", async () => {
        await site.json<readonly LogLine[]>(["logs", "--lines", "5"]).catch(() => []);
        assert.equal((await site.bronze(["logs"])).status, 0);
        assert.equal((await site.json<AuditReport>(["audit", "verify"])).ok, true);
      });

      await t.test("a rollback goes, by the reserve", async () => {
        const back = await site.json<DeployResult>(["rollback"]);
        assert.deepEqual([back.release, back.of, back.warm], [3, 1, true]);
        assert.equal((await get(url)).body, "v1\n");
      });

      await t.test("the daemon comes up on the full disk, and finds everything as it was", async () => {
        const { pid } = (await site.json<StatusReport>(["status"])).daemon;
        const running = serving(await site.status());
        process.kill(pid, "SIGKILL");
        const again = await serve(t, site);
        assert.notEqual(again.pid, pid);
        const after = await site.status();
        assert.equal(after.live?.release, 3);
        assert.deepEqual(serving(after), running);
        assert.deepEqual((await history(site)).slice(0, acknowledged.length), acknowledged);
      });

      await t.test("with room there is work again, without a restart, and the reserve is whole", async () => {
        const { pid } = (await site.json<StatusReport>(["status"])).daemon;
        volume.empty();
        site.write({ "root/www/index.html": "v4\n" });
        const next = await site.json<DeployResult>(["up"]);
        assert.equal(next.release, 4);
        assert.equal((await get(url)).body, "v4\n");
        await eventually("the reserve is whole", () => statSync(join(site.state, "reserve")).size === 2 ** 20);
        assert.equal((await site.json<StatusReport>(["status"])).daemon.pid, pid);
        assert.equal((await site.json<AuditReport>(["audit", "verify"])).ok, true);
      });
      const { requests, failures, bodies } = await load.stop();
      t.diagnostic(
        `${kind}: ${requests} requests of the background load, ${failures.length} failed; answered: ${bodies.join(", ")}`,
      );
      assert.deepEqual(failures, []);
    },
  );
}

test(
  "the disk gets full during a rollout: it is aborted with exit 11, which is recorded, and traffic stays",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t, { kind: "ext4", mebibytes: 96 });
    const { volume } = site;
    assert.ok(volume !== undefined);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const load = keepAsking(url, 20);
    t.after(() => load.stop());

    await t.test("while an image is made", async () => {
      site.write({ "root/www/index.html": "v2\n" });
      const built = await site.json<{ readonly digest: string }>(["build"]);
      volume.fill(512 * 1024);
      refusedForRoom(await site.bronze(["deploy", built.digest]), "deploy");
      const failed = (await site.releases()).at(-1);
      assert.deepEqual([failed?.release, failed?.state], [2, "aborted"]);
      assert.match(failed?.failure ?? "", /image of a layer in ".*layers": the disk is full/);
      volume.empty();
    });

    await t.test("while its instances start", async () => {
      const slow = [...server.slice(0, 3), `/bin/busybox sleep 2; ${server[3] ?? ""}`];
      site.write({ Dockerfile: dockerfile(slow), "root/www/index.html": "v3\n" });
      const deploying = site.bronze(["up"]);
      await eventually("its instances run", async () => {
        const { instances } = await site.status();
        return instances.filter(({ release, pid }) => release === 3 && pid !== null).length === 2;
      });
      volume.fill();
      // What it still needs may fit into what the reserve gives: then it goes through, all of it.
      const result = await deploying;
      const after = await site.status();
      t.diagnostic(`a rollout on its way ended with ${result.status}, live is v${after.live?.release}`);
      if (result.status !== 0) {
        refusedForRoom(result, "up");
        const failed = (await site.releases()).at(-1);
        assert.deepEqual([failed?.release, failed?.state, after.live?.release], [3, "aborted", 1]);
      } else assert.deepEqual([after.live?.release, (await get(url)).body], [3, "v3\n"]);
      volume.empty();
      await eventually("live is one release only", async () => {
        const { instances, live } = await site.status();
        return instances.filter(({ role }) => role === "live").every(({ release }) => release === live?.release);
      });
    });
    const recorded = (await history(site)).filter(({ data }) => data.kind === "rollout.aborted");
    assert.ok(recorded.length >= 1);
    const { requests, failures, bodies } = await load.stop();
    t.diagnostic(`${requests} requests, ${failures.length} failed; answered: ${bodies.join(", ")}`);
    assert.deepEqual(failures, []);
  },
);

test(
  "an app that writes logs without end: they are bounded, on a full disk they are lost, and nothing else is",
  { timeout: 240_000 },
  async (t) => {
    const mebibytes = 128;
    const site = createSite(t, { kind: "ext4", mebibytes });
    const { volume } = site;
    assert.ok(volume !== undefined);
    const noise = [
      ...server.slice(0, 3),
      `(while :; do /bin/busybox yes "a line that is written for ever and ever" | /bin/busybox head -n 20000; /bin/busybox sleep 0.02; done) & exec /bin/busybox httpd -f -p 8080 -h /www`,
    ];
    site.write({ Dockerfile: dockerfile(noise) });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const load = keepAsking(url, 20);
    t.after(() => load.stop());
    const logs = join(site.state, "log", "instances");
    let most = 0;
    const newestInode = new Map<string, number>();
    let begun = 0;
    await eventually(
      "logs were begun anew again and again",
      () => {
        const found = readdirSync(logs).flatMap((file) => {
          const stats = statSync(join(logs, file), { throwIfNoEntry: false });
          return stats === undefined ? [] : [{ file, bytes: stats.size, inode: stats.ino }];
        });
        for (const { file, inode } of found.filter((one) => one.file.endsWith(".log"))) {
          if (newestInode.get(file) !== inode) begun += 1;
          newestInode.set(file, inode);
        }
        most = Math.max(
          most,
          found.reduce((sum, { bytes }) => sum + bytes, 0),
        );
        return begun > 8;
      },
      60_000,
    );
    t.diagnostic(`at most ${(most / 2 ** 20).toFixed(1)} MiB of logs were seen on a disk of ${mebibytes} MiB`);

    const before = await site.status();
    volume.fill();
    const newest = async (): Promise<string> => {
      const { stdout } = await site.bronze(["logs", "--lines", "1", "--json"]);
      return stdout === "" ? "" : (JSON.parse(stdout) as LogLine).at;
    };
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    assert.deepEqual(serving(await site.status()), serving(before), "the instances that write run on");
    const atFull = await newest();
    volume.empty();
    await eventually("lines are written again", async () => (await newest()) > atFull);
    assert.deepEqual(serving(await site.status()), serving(before));
    const { requests, failures } = await load.stop();
    t.diagnostic(`${requests} requests, ${failures.length} failed`);
    assert.deepEqual(failures, []);
  },
);

test("a release that turns bad on a full disk is taken back by itself", { timeout: 240_000 }, async (t) => {
  const site = createSite(t, { kind: "ext4", mebibytes: 96 });
  const { volume } = site;
  assert.ok(volume !== undefined);
  site.define({ environment: ["rollback: { keepWarm: 10m, watch: 5m }"] });
  site.write({ "root/www/cgi-bin/probe": probe("200 OK") }, 0o755);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write({ "root/www/cgi-bin/probe": probe("500 Bad") }, 0o755);
  site.write({ "root/www/index.html": "v2\n" });
  await site.json<DeployResult>(["up"]);
  volume.fill();
  let asked = 0;
  await eventually("v1 is back", async () => {
    for (let n = 0; n < 10; n += 1) {
      asked += 1;
      await get(new URL("/cgi-bin/probe", url).href);
    }
    return (await get(url)).body === "v1\n";
  });
  const status = await site.status();
  assert.deepEqual([status.live?.release, status.live?.of], [3, 1]);
  t.diagnostic(`taken back after ${asked} bad requests, with no room on the disk`);
});

test(
  "a disk that the kernel made read-only: exit 11 with the cause, what runs goes on",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t, { kind: "ext4", mebibytes: 96 });
    const { volume } = site;
    assert.ok(volume !== undefined);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    site.write({ "root/www/index.html": "v2\n" });
    const built = await site.json<{ readonly digest: string }>(["build"]);
    const load = keepAsking(url, 20);
    t.after(() => load.stop());
    volume.breakDisk();
    site.write({ "root/www/index.html": "v3\n" });
    for (const args of [["deploy", built.digest], ["scale", "3"], ["build"]]) {
      const result = await site.bronze(args);
      assert.equal(result.status, 11, `${args[0]}: ${result.stderr}`);
      // What was under way when it broke may hear of the disk's error itself.
      assert.match(
        result.stderr,
        /error\[MACHINE_REFUSED\]: Cannot .*(the file system is read-only|the disk reports an input\/output error)/,
      );
      assert.match(result.stderr, /dmesg/);
    }
    assert.equal((await site.status()).live?.release, 1);
    assert.equal((await site.json<AuditReport>(["audit", "verify"])).ok, true);
    const { requests, failures, bodies } = await load.stop();
    t.diagnostic(`${requests} requests, ${failures.length} failed`);
    assert.deepEqual([failures, bodies], [[], ["v1"]]);

    // What a person does then: everything of it ends, the file system is mended, the daemon started again.
    const { pid } = (await site.json<StatusReport>(["status"])).daemon;
    const { instances } = await site.status();
    process.kill(pid, "SIGKILL");
    for (const { pid: first } of instances) if (first !== null) killIfThere(first);
    await eventually("every process of the site ended", () => killAllOf(site.state) === 0);
    await volume.mend();
    await serve(t, site);
    await eventually("v1 serves again", async () => {
      const answer = await get((await site.status()).url).catch(() => undefined);
      return answer?.body === "v1\n";
    });
    assert.equal((await site.status()).live?.release, 1);
  },
);

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Kills what has a file of this folder in its command line. @returns how many there were */
function killAllOf(folder: string): number {
  let killed = 0;
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    try {
      if (pid === process.pid || !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/`)) continue;
      killIfThere(pid);
      killed += 1;
    } catch {
      // It has ended by itself.
    }
  }
  return killed;
}

test("an instance that dies on a full disk is replaced", { timeout: 120_000 }, async (t) => {
  const site = createSite(t, { kind: "ext4", mebibytes: 96 });
  const { volume } = site;
  assert.ok(volume !== undefined);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  volume.fill();
  const [first] = (await site.status()).instances;
  assert.ok(first?.pid !== null && first?.pid !== undefined);
  process.kill(first.pid, "SIGKILL");
  await eventually("two serve again, one of them another", async () => {
    const { healthy, instances } = await site.status();
    return healthy === 2 && !instances.some(({ name, role }) => role === "live" && name === first.name);
  });
  assert.equal((await get(url)).body, "v1\n");
  t.diagnostic(`of the reserve ${statSync(join(site.state, "reserve")).size / 1024} KiB are left`);
});
