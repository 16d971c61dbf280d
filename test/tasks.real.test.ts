import assert from "node:assert/strict";
import test from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { DeployResult } from "../src/model/api/releases.ts";
import type { RunLine } from "../src/model/api/runs.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import { bundleType } from "../src/trust/bundle.ts";
import { createLocalStore } from "../src/store/local.ts";
import { join } from "node:path";
import { isDigest } from "../src/model/canonical.ts";
import { createSite, eventually, get, type Site } from "./support/bronze.ts";

const shell = (script: string): string => JSON.stringify(["/bin/busybox", "sh", "-c", script]);
const release = (script: string, rest = ""): string => `release: { run: ${shell(script)}, reversible: true${rest} }`;

async function history(site: Site): Promise<readonly LedgerEvent[]> {
  return site.json<readonly LedgerEvent[]>(["history"]);
}

/** Instances of tasks that were started, in order, without the environment's name. */
async function started(site: Site): Promise<readonly string[]> {
  return (await history(site)).flatMap(({ data }) =>
    data.kind === "task.started" ? [data.instance.replace("shop-production-", "")] : [],
  );
}

/** That nothing but what is live runs, and that it is as it was. */
async function assertServes(site: Site, url: string | null, body: string, live: number): Promise<void> {
  assert.equal((await get(url ?? "")).body, body);
  await eventually("what failed is gone", async () => {
    const { instances, tasks, rollout } = await site.status();
    return rollout === null && tasks.length === 0 && instances.every((one) => one.release === live);
  });
  assert.equal((await site.status()).live?.release, live);
}

test("tests, migrations and checks: failing and hanging ones change nothing", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  site.define({ instances: 1, environment: ["rollback: { keepWarm: 0s }"] });
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);

  await t.test("a migration that fails ends the rollout, exit 5, and what it wrote is shown", async () => {
    site.define({ instances: 1, top: [release("echo no such table; echo gone >&2; exit 3")] });
    const failed = await site.bronze(["up"]);
    assert.equal(failed.status, 5, failed.stderr);
    assert.match(failed.stderr, /error\[ROLLOUT_FAILED\]: .*v2.*its release command .* ended with status 3/);
    assert.match(failed.stderr, /no such table\n\s+gone/);
    assert.match(failed.stderr, /all traffic is still on v1/);
    await assertServes(site, url, "v1\n", 1);
  });

  await t.test("one that hangs is ended at its deadline", async () => {
    site.define({ instances: 1, top: [release("echo waiting; sleep 1000", ", deadline: 1s")] });
    const failed = await site.bronze(["up"]);
    assert.equal(failed.status, 5, failed.stderr);
    assert.match(failed.stderr, /did not end in its time/);
    assert.match(failed.stderr, /waiting/);
    await assertServes(site, url, "v1\n", 1);
  });

  const test1 = (script: string): string => `tests: [{ run: ${shell(script)}, env: { LEVEL: all } }]`;
  await t.test("a test that fails ends the rollout, exit 10; tests see no config", async () => {
    site.write({ "root/www/index.html": "v2\n" });
    site.define({ instances: 1, top: ["config: { A: b }", test1('echo "level $LEVEL a=$A"; exit 1')] });
    const failed = await site.bronze(["up"]);
    assert.equal(failed.status, 10, failed.stderr);
    assert.match(failed.stderr, /error\[TEST_FAILED\]: .*its test .* ended with status 1/);
    assert.match(failed.stderr, /level all a=\n/);
    await assertServes(site, url, "v1\n", 1);
  });

  await t.test("a check that fails ends the rollout before the switch, exit 10", async () => {
    const check = `checks: [{ run: ${shell('/bin/busybox wget -q -O - "$BRONZE_PREVIEW_URL/"; exit 7')} }, { path: / }]`;
    site.define({ instances: 1, top: ["config: { A: b }", test1('test -z "$A"'), check] });
    const failed = await site.bronze(["up"]);
    assert.equal(failed.status, 10, failed.stderr);
    assert.match(failed.stderr, /check 1 of 2 .* ended with status 7/);
    assert.match(failed.stderr, /v2\n/, "it asked the new content");
    await assertServes(site, url, "v1\n", 1);
  });

  await t.test("what passes goes live in its order; tests that the artifact has passed are not run again", async () => {
    const check = `checks: [{ run: ${shell('/bin/busybox wget -q -O - "$BRONZE_PREVIEW_URL/"; test "$A" = b')} }, { path: / }]`;
    const top = ["config: { A: b }", test1('test -z "$A"'), check];
    site.define({ instances: 1, top: [...top, release('test "$A" = b')] });
    const before = (await started(site)).length;
    const up = await site.json<DeployResult>(["up"]);
    assert.equal((await get(url ?? "")).body, "v2\n");
    const { release: number } = up;
    assert.deepEqual((await started(site)).slice(before), [`v${number}-release-1`, `v${number}-check-1`]);
    const passed = (await history(site)).find(({ data }) => data.kind === "tests.passed")?.data;
    assert.ok(passed?.kind === "tests.passed");
    const store = createLocalStore(join(site.state, "store"));
    const referrers = await store.referrers(passed.artifact, bundleType);
    assert.ok(referrers.some(({ digest }) => isDigest(digest) && digest === passed.result));
  });
});

test(
  "run: a one-off instance of what is live, streamed, recorded, ended with its caller",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    site.define({ instances: 1, top: ["config: { A: b }"] });
    await site.json<DeployResult>(["up", "--http-port", "0"]);
    // What follows the script, `--state` above all, is its arguments.
    const env = { BRONZE_STATE: site.state };
    const run = (script: string): readonly string[] => [
      "run",
      "-m",
      "to see",
      "--",
      "/bin/busybox",
      "sh",
      "-c",
      script,
    ];

    await t.test("shows what it writes on both streams; its status is the command's", async () => {
      const good = await site.bronze(run('echo "out $A"; echo err >&2; printf rest'), { env });
      assert.deepEqual([good.status, good.stdout], [0, "out b\nrest\n"], good.stderr);
      assert.match(good.stderr, /^err$/m);
      const bad = await site.bronze(["run", "--json", "--", "/bin/busybox", "sh", "-c", "echo no; exit 4"], { env });
      assert.equal(bad.status, 10);
      const lines = bad.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as RunLine);
      assert.equal(lines[0]?.kind === "output" && lines[0].line.text, "no");
      assert.match(bad.stdout, /"code":"COMMAND_FAILED".*"status":4/);
      assert.match(bad.stderr, /error\[COMMAND_FAILED\]: .*ended with status 4/);
      const ended = (await history(site)).filter(({ data }) => data.kind === "task.ended");
      assert.deepEqual(
        ended.map(({ data }) => data.kind === "task.ended" && [data.code, data.output]),
        [
          [0, ["out b", "err", "rest"]],
          [4, ["no"]],
        ],
      );
      const asked = (await history(site)).find(({ data }) => data.kind === "task.started")?.data;
      assert.equal(asked?.kind === "task.started" && asked.cause?.why, "to see");
    });

    await t.test("Ctrl-C ends it", async () => {
      const stop = new AbortController();
      const running = site.bronze(run("echo begun; sleep 1000"), { signal: stop.signal, env });
      await eventually("it runs", async () => (await site.status()).tasks.length === 1);
      stop.abort();
      assert.equal((await running).status, 130);
      await eventually("it is gone", async () => (await site.status()).tasks.length === 0);
      const last = (await history(site)).findLast(({ data }) => data.kind === "task.ended")?.data;
      assert.equal(last?.kind === "task.ended" && last.how, "stopped");
    });

    await t.test("a killed daemon does not: its caller goes on with the next one, and misses nothing", async () => {
      const running = site.bronze(run("echo one; sleep 2; echo two"), { env });
      await eventually("it runs", async () => (await site.status()).tasks.length === 1);
      const { daemon } = await site.json<StatusReport>(["status"]);
      process.kill(daemon.pid, "SIGKILL");
      await site.json<DeployResult>(["up"]);
      const result = await running;
      assert.deepEqual([result.status, result.stdout], [0, "one\ntwo\n"], result.stderr);
    });

    await t.test(
      "a daemon killed in the middle of a migration: the next one waits for it, and runs it once",
      async () => {
        site.write({ "root/www/index.html": "v2\n" });
        site.define({ instances: 1, top: ["config: { A: b }", release("echo migrating; sleep 2")] });
        const up = site.bronze(["up"]);
        await eventually("it runs", async () => (await site.status()).tasks.length === 1);
        const { daemon } = await site.json<StatusReport>(["status"]);
        process.kill(daemon.pid, "SIGKILL");
        const again = await site.bronze(["up"]);
        assert.equal(again.status, 0, again.stderr);
        const first = await up;
        assert.equal(first.status, 0, first.stderr);
        const { live } = await site.status();
        assert.equal(live?.release, 2);
        assert.deepEqual(
          (await started(site)).filter((name) => name.includes("release")),
          ["v2-release-1"],
        );
      },
    );
  },
);
