import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import type { AuditReport } from "../src/model/api/trust.ts";
import {
  createSite,
  dockerfile,
  eventually,
  get,
  keepAsking,
  type CommandResult,
  type Site,
  type DeployResult,
} from "./support/bronze.ts";
import { leaksOf, rightfulOf } from "./support/leaks.ts";

/** Listens a while after its start: what releases it is under way for that long. */
const listensAfter = (seconds: number): readonly string[] => [
  "/bin/busybox",
  "sh",
  "-c",
  `trap 'kill $!; exit 0' TERM; /bin/busybox sleep ${seconds}; /bin/busybox httpd -f -p 8080 -h /www & wait $!`,
];

/** Starts a command, as another shell does, in a copy of the project that has a page of its own. */
function elsewhere(site: Site, page: string, args: readonly string[]): Promise<CommandResult> {
  const cwd = join(dirname(site.state), `project-${page}`);
  cpSync(site.project, cwd, { recursive: true });
  writeFileSync(join(cwd, "root/www/index.html"), `${page}\n`);
  return site.bronze([...args, "--json"], { cwd });
}

async function underWay(site: Site, release: number): Promise<void> {
  await eventually(`v${release} is under way`, async () => (await site.status()).rollout?.release === release);
}

const history = (site: Site): Promise<readonly LedgerEvent[]> =>
  site.json<readonly LedgerEvent[]>(["history", "--all", "-n", "1000"]);

/** What the ledger says is live: the last switch, unless it was taken down after. */
async function liveByLedger(site: Site): Promise<number | null> {
  let live: number | null = null;
  for (const { data } of (await history(site)).toSorted((a, b) => a.seq - b.seq)) {
    if (data.kind === "traffic.switched") live = data.release;
    else if (data.kind === "app.down") live = null;
  }
  return live;
}

/** All has come to rest, and status, ledger, answers and audit tell the same. @returns the page of what is live */
async function settled(site: Site, instances: number): Promise<{ readonly live: number; readonly body: string }> {
  await eventually("all has come to rest", async () => {
    const status = await site.status();
    const own = status.instances.filter(({ role }) => role === "live");
    return status.rollout === null && status.healthy === instances && own.length === instances;
  });
  const { live, url } = await site.status();
  assert.ok(live);
  assert.equal(await liveByLedger(site), live.release);
  const answers = await Promise.all(Array.from({ length: 8 }, () => get(url)));
  const bodies = new Set(answers.map(({ body }) => body.trim()));
  assert.equal(bodies.size, 1, [...bodies].join(", "));
  await eventually("nothing is left of what was superseded", async () => {
    const rightful = rightfulOf(await site.json<StatusReport>(["status"]), await site.releases());
    return leaksOf(site.state, rightful).length === 0;
  });
  const audit = await site.json<AuditReport>(["audit", "verify"]);
  assert.deepEqual([audit.ok, audit.projectionsEqual], [true, true]);
  return { live: live.release, body: [...bodies][0] ?? "" };
}

/** Load for the time of a test; none of it may fail. */
function loaded(t: TestContext, url: string): () => Promise<number> {
  const load = keepAsking(url, 20);
  t.after(() => load.stop());
  return async () => {
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    return requests;
  };
}

test(
  "of five `up` at once with builds of their own the last one asked for is live, and each other says what came of it",
  { timeout: 180_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const unfailing = loaded(t, url);
    site.write({ Dockerfile: dockerfile(listensAfter(2)) });
    const pages = ["a", "b", "c", "d", "e"];
    const results = await Promise.all(pages.map((page) => elsewhere(site, page, ["up"])));
    const { live, body } = await settled(site, 2);
    const releases = await site.releases();
    assert.equal(releases.length, 6);
    assert.equal(live, 6, "the last that was asked for");
    let superseded = 0;
    const ended = new Set<number>();
    for (const [index, { status, stdout, stderr }] of results.entries()) {
      if (status === 0) {
        const { release } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as DeployResult;
        ended.add(release);
        if (release === live) assert.equal(body, pages[index]);
        continue;
      }
      superseded += 1;
      assert.equal(status, 5, stderr);
      const [, from = "", by = ""] =
        /error\[ROLLOUT_SUPERSEDED\]: .*rollout of shop to v(\d) in production: superseded by v(\d)/.exec(stderr) ??
        assert.fail(stderr);
      ended.add(Number(from));
      assert.equal(Number(by), Number(from) + 1);
      assert.equal(releases.find(({ release }) => release === Number(from))?.state, "aborted");
    }
    assert.deepEqual(
      [...ended].sort((a, b) => a - b),
      [2, 3, 4, 5, 6],
      "each command speaks of a release of its own",
    );
    t.diagnostic(
      `5 at once: ${5 - superseded} exited 0, ${superseded} exited 5; ${await unfailing()} requests, 0 failed`,
    );
  },
);

test(
  "a rollback ends a deploy under way; a deploy during a rollback comes after it; a rollback supersedes a rollback",
  {
    timeout: 240_000,
  },
  async (t) => {
    const site = createSite(t);
    site.define({ environment: ["rollback: { keepWarm: 0s, watch: 0s }"] });
    site.write({ Dockerfile: dockerfile(listensAfter(3)) });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const unfailing = loaded(t, url);
    site.write({ Dockerfile: dockerfile(listensAfter(0)), "root/www/index.html": "v2\n" });
    await site.json(["up"]);

    // Before a switch there is nothing to go back from: what is live stays.
    site.write({ Dockerfile: dockerfile(listensAfter(30)) });
    const stuck = elsewhere(site, "stuck", ["up"]);
    await underWay(site, 3);
    const ended = await site.json<DeployResult>(["rollback"]);
    assert.deepEqual([ended.release, ended.created], [2, false]);
    const { status, stderr, stdout } = await stuck;
    assert.equal(status, 5);
    assert.match(stderr + stdout, /rollout of shop to v3 in production: .* rolled back before it was live/);
    assert.deepEqual(await settled(site, 2), { live: 2, body: "v2" });

    // v1 is not kept warm and takes its time.
    const first = site.bronze(["rollback", "v1"]);
    await underWay(site, 4);
    const second = site.bronze(["rollback", "v1"]);
    await underWay(site, 5);
    site.write({ Dockerfile: dockerfile(listensAfter(0)) });
    const next = elsewhere(site, "next", ["up"]);
    const [loser, winner, deployed] = await Promise.all([first, second, next]);
    assert.equal(loser.status, 5);
    assert.match(loser.stderr, /rollout of shop to v4 in production: superseded by v5/);
    assert.equal(winner.status, 0, winner.stderr);
    assert.equal(deployed.status, 0, deployed.stderr);
    assert.deepEqual(await settled(site, 2), { live: 6, body: "next" });
    const events = await history(site);
    const seqOf = (kind: LedgerEvent["data"]["kind"], release: number): number =>
      events.find(({ data }) => data.kind === kind && "release" in data && data.release === release)?.seq ?? Number.NaN;
    assert.ok(seqOf("traffic.switched", 5) < seqOf("release.created", 6), "the deploy waited for the rollback's end");
    t.diagnostic(`3 orders; ${await unfailing()} requests, 0 failed`);
  },
);

test(
  "a deploy and a rollback that race come to what one of them wanted, at whatever distance",
  {
    timeout: 240_000,
  },
  async (t) => {
    const site = createSite(t);
    site.define({ environment: ["rollback: { watch: 0s }"] });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const unfailing = loaded(t, url);
    site.write({ "root/www/index.html": "second\n" });
    await site.json(["up"]);
    const told: string[] = [];
    for (const distanceMs of [-150, 100, 500]) {
      const before = (await settled(site, 2)).live;
      const page = `round${distanceMs}`;
      const [deployed, back] = await Promise.all([
        sleep(Math.max(0, -distanceMs)).then(() => elsewhere(site, page, ["up"])),
        sleep(Math.max(0, distanceMs)).then(() => site.bronze(["rollback", "--json"])),
      ]);
      assert.equal(back.status, 0, back.stderr);
      assert.ok(deployed.status === 0 || deployed.status === 5, deployed.stderr);
      const { live, body } = await settled(site, 2);
      const created = (await site.releases()).filter(({ release }) => release > before);
      const last = created.findLast(({ state }) => state !== "aborted");
      assert.equal(live, last?.release ?? before);
      if (last?.type === "deploy") assert.equal(body, page);
      else if (last !== undefined) assert.notEqual(body, page);
      told.push(`${distanceMs} ms: ${created.map(({ type, state }) => `${type} ${state}`).join(", ")}`);
    }
    t.diagnostic(`${told.join("; ")}; ${await unfailing()} requests, 0 failed`);
  },
);

test("`scale` and `down` against a deploy: what was asked for last holds", { timeout: 240_000 }, async (t) => {
  const site = createSite(t);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  const unfailing = loaded(t, url);
  site.write({ Dockerfile: dockerfile(listensAfter(2)) });
  const deploying = elsewhere(site, "slow", ["up"]);
  await underWay(site, 2);
  const scaled = await site.bronze(["scale", "3"]);
  assert.equal(scaled.status, 0, scaled.stderr);
  assert.equal((await deploying).status, 0);
  assert.deepEqual(await settled(site, 3), { live: 2, body: "slow" });
  const both = await Promise.all([site.bronze(["scale", "1"]), site.bronze(["scale", "4"])]);
  for (const { status, stderr } of both) assert.equal(status, 0, stderr);
  const changes = (await history(site)).filter(({ data }) => data.kind === "environment.changed");
  const newest = changes.toSorted((a, b) => b.seq - a.seq)[0]?.data;
  assert.ok(newest?.kind === "environment.changed");
  const wanted = newest.settings.instances;
  await settled(site, wanted);
  const requests = await unfailing();

  const ended = elsewhere(site, "ended", ["up"]);
  await underWay(site, 3);
  const down = await site.bronze(["down"]);
  assert.equal(down.status, 0, down.stderr);
  const { status, stderr, stdout } = await ended;
  assert.equal(status, 5);
  assert.match(stderr + stdout, /rollout of shop to v3 in production: .* took it down/);

  // At the same moment: whichever the daemon heard last holds.
  site.write({ Dockerfile: dockerfile(listensAfter(0)) });
  assert.equal((await elsewhere(site, "again", ["up"])).status, 0);
  const [up, away] = await Promise.all([elsewhere(site, "last", ["up"]), site.bronze(["down", "--json"])]);
  assert.ok([0, 5].includes(away.status ?? -1), away.stderr);
  // A daemon that has nothing left to do ends; who asks at that moment starts another one.
  assert.ok([0, 5].includes(up.status ?? -1), up.stderr);
  const after = await site.json<DeployResult>(["up"]);
  assert.equal((await settled(site, 2)).live, after.release);
  t.diagnostic(
    `${requests} requests, 0 failed; ${wanted} instances won; up exited ${up.status}, down ${away.status} at the same moment`,
  );
});

test(
  "with every core saturated a deploy and a rollback succeed, and no healthy instance is taken out",
  {
    timeout: 240_000,
  },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const hash =
      'const { createHash } = require("node:crypto"); for (;;) createHash("sha256").update(Buffer.alloc(2 ** 24)).digest()';
    const busy = Array.from({ length: availableParallelism() }, () => [
      spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }),
      spawn(process.execPath, ["-e", hash], { stdio: "ignore" }),
    ]).flat();
    const calm = (): void => busy.forEach((child) => child.kill("SIGKILL"));
    t.after(calm);
    const unfailing = loaded(t, url);
    site.write({ "root/www/index.html": "v2\n" });
    const deployed = await site.json<DeployResult>(["up"]);
    assert.equal(deployed.release, 2);
    // Long enough for an instance to be judged by several probes.
    await sleep(5_000);
    const back = await site.json<DeployResult>(["rollback"]);
    assert.deepEqual([back.of, back.warm], [1, true]);
    assert.deepEqual(await settled(site, 2), { live: 3, body: "v1" });
    const requests = await unfailing();
    calm();
    const condemned = (await history(site)).filter(
      ({ data }) => data.kind === "instance.condemned" || data.kind === "instance.exited",
    );
    assert.deepEqual(condemned, []);
    t.diagnostic(
      `${busy.length} busy processes: deploy ${Math.round(deployed.elapsedMs)} ms, rollback ${Math.round(back.elapsedMs)} ms; ${requests} requests, 0 failed`,
    );
  },
);
