import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { ReleaseRow } from "../src/model/api/releases.ts";
import type { EnvironmentStatus, StatusReport } from "../src/model/api/status.ts";
import type { AuditReport } from "../src/model/api/trust.ts";
import { placesOf } from "../src/model/places.ts";
import { createSite, eventually, get, type Site } from "./support/bronze.ts";
import { leaksOf, rightfulOf } from "./support/leaks.ts";
import { bootDaemon, powerCut } from "./support/power-cut.ts";

const instances = 2;

/** What a release is to people: what it is, not which processes make it up. */
const essence = ({ app, live, wanted, healthy, url, rollback }: EnvironmentStatus) => ({
  app,
  release: live?.release,
  digest: live?.digest,
  wanted,
  healthy,
  url,
  target: rollback.target,
  warm: rollback.warm,
});

async function statusOf(site: Site): Promise<readonly EnvironmentStatus[]> {
  return (await site.json<StatusReport>(["status"])).environments;
}

/** Everything is as wanted, and nothing is on its way. */
async function settled(site: Site): Promise<void> {
  await eventually("all is settled", async () =>
    (await statusOf(site)).every(
      ({ rollout, healthy, wanted, rollback, instances: all }) =>
        rollout === null &&
        healthy === wanted &&
        (rollback.target === null || rollback.ready) &&
        all.every(({ role }) => role !== "ending"),
    ),
  );
}

/** Chain, leaks, and one boot more in the history. */
async function checkWhole(site: Site, apps: readonly string[], boots: number): Promise<void> {
  const audit = await site.json<AuditReport>(["audit", "verify"]);
  assert.equal(audit.ok, true);
  const history = await site.json<readonly LedgerEvent[]>(["history", "--all", "--limit", "1000"]);
  const seen = history.flatMap(({ data }) => (data.kind === "daemon.started" ? [data.boot?.id] : []));
  assert.equal(new Set(seen).size, boots, "boots that the history tells of");
  const releases: ReleaseRow[] = [];
  for (const app of apps) releases.push(...(await site.json<readonly ReleaseRow[]>(["releases", "--app", app])));
  const leaks = async () => leaksOf(site.state, rightfulOf(await site.json<StatusReport>(["status"]), releases));
  await eventually("nothing leaked", async () => (await leaks()).length === 0).catch(async () =>
    assert.deepEqual(await leaks(), []),
  );
}

/** Asks until stopped, from before the router listens: until then connections are refused, from then on all must be answered. */
function askFromTheStart(url: string, headers: Readonly<Record<string, string>>) {
  const bodies = new Set<string>();
  const failures: string[] = [];
  let refused = 0;
  let stopped = false;
  const work = (async () => {
    while (!stopped) {
      try {
        const { status, body } = await get(url, headers);
        if (status === 200) bodies.add(body.trim());
        else failures.push(`status ${status}`);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === "ECONNREFUSED" && bodies.size === 0 && failures.length === 0) refused += 1;
        else failures.push(message);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return async () => {
    stopped = true;
    await work;
    return { bodies: [...bodies], failures, refused };
  };
}

async function withDaemon(t: TestContext, site: Site): Promise<number> {
  const { child, answeredMs } = await bootDaemon(site.state);
  t.after(() => child.kill("SIGTERM"));
  return answeredMs;
}

test(
  "a reboot brings back releases, content, routes, instances and warm sets, without one wrong answer",
  { timeout: 180_000 },
  async (t) => {
    const site = createSite(t);
    const routes = [
      { app: "shop", route: "{ path: / }", headers: { host: "anything.example" }, path: "/" },
      { app: "blog", route: "{ host: blog.example, path: / }", headers: { host: "blog.example" }, path: "/" },
      { app: "api", route: "{ host: blog.example, path: /api }", headers: { host: "blog.example" }, path: "/api/" },
    ] as const;
    let url = "";
    for (const version of ["v1", "v2"]) {
      for (const { app, route } of routes) {
        if (version === "v2" && app === "api") continue;
        site.write({
          "root/www/index.html": `${app} ${version}\n`,
          "root/www/api/index.html": `${app} ${version}\n`,
        });
        site.define({ app, top: [`route: ${route}`], environment: ["rollback: { watch: 0s, keepWarm: 30m }"] });
        const deployed = await site.json<{ url: string }>(["up", "--http-port", "0"]);
        url = `http://127.0.0.1:${new URL(deployed.url).port}`;
      }
    }
    await settled(site);
    const before = (await statusOf(site)).map(essence);
    assert.deepEqual(
      before.map(({ warm }) => warm).sort((a, b) => a - b),
      [0, instances, instances],
    );

    // First with the run folder in memory, then with one that outlived the power cut and is full of another boot's words.
    for (const [index, runFolder] of (["gone", "kept"] as const).entries()) {
      const cut = await powerCut(site.state, { runFolder });
      // The mounts of a daemon that booted are in a namespace of its own, and go with it.
      const hadMounts = cut.mounts > 0 || runFolder === "kept";
      assert.ok(cut.processes >= 12 && hadMounts && cut.cgroups > 0 && cut.rules > 0, JSON.stringify(cut));
      if (runFolder === "kept") leaveTraces(t, site);
      const asking = routes.map(({ headers, path }) => askFromTheStart(`${url}${path}`, headers));
      const answeredMs = await withDaemon(t, site);
      await settled(site);
      assert.deepEqual((await statusOf(site)).map(essence), before);
      const told = await Promise.all(asking.map((stop) => stop()));
      for (const [n, { bodies, failures }] of told.entries()) {
        const { app } = routes[n]!;
        assert.deepEqual([bodies, failures], [[app === "api" ? "api v1" : `${app} v2`], []]);
      }
      await checkWhole(site, ["shop", "blog", "api"], index + 2);
      t.diagnostic(
        `run folder ${runFolder}: ${cut.processes} processes, ${cut.mounts} mounts, ${cut.cgroups} cgroups, ${cut.rules} rules cut; ` +
          `daemon answers after ${Math.round(answeredMs)} ms, 0 wrong answers`,
      );
    }
  },
);

/** What a real machine keeps over a reboot: half-written files, and pid files that name somebody else by now. */
function leaveTraces(t: TestContext, site: Site): void {
  const { run, state } = placesOf(site.state);
  const stranger = spawn("sleep", ["600"], { stdio: "ignore" });
  t.after(() => stranger.kill("SIGKILL"));
  stranger.once("exit", (_, signal) => assert.equal(signal, "SIGKILL"));
  const pid = String(stranger.pid);
  for (const file of ["bronze.pid", "router/supervisor.pid", "router/haproxy.pid"]) writeFileSync(join(run, file), pid);
  writeFileSync(join(state, "router/record.json.tmp"), "{");
  writeFileSync(join(state, "router/routes.map"), "\n".repeat(4096));
  t.after(() => assert.equal(stranger.exitCode, null, "a stranger was ended"));
}

test("a half-done rollout, rollback or watch goes on to its target after a reboot", { timeout: 240_000 }, async (t) => {
  const site = createSite(t);
  const environment = ["rollback: { watch: 4s, keepWarm: 30m }"];
  const release = async (text: string) => {
    site.write({ "root/www/index.html": `${text}\n` });
    return (await site.json<{ url: string }>(["up", "--http-port", "0"])).url;
  };
  site.define({ environment });
  const url = await release("v1");
  await release("v2");
  const proven = (number: number) => async () =>
    (await site.releases()).find((row) => row.release === number)?.state === "proven";
  await eventually("v2 is proven", proven(2));
  const kinds = async () =>
    (await site.json<readonly LedgerEvent[]>(["history", "--limit", "1000"])).map(({ data }) => data.kind);
  let boots = 1;

  /** Cuts the power as soon as a command has led to an event, and lets the machine boot. */
  async function cutAt(kind: LedgerEvent["data"]["kind"], args: readonly string[]): Promise<void> {
    const already = (await kinds()).filter((one) => one === kind).length;
    const command = site.bronze(args);
    await eventually(
      `${args[0]} has led to ${kind}`,
      async () => (await kinds()).filter((one) => one === kind).length > already,
    );
    await powerCut(site.state);
    await command;
    boots += 1;
    await withDaemon(t, site);
  }

  // Slow to be ready, so that the cut falls before the switch.
  site.write({ "root/www/index.html": "v3\n" });
  site.define({ environment, run: ["minReady: 2s"] });
  await cutAt("instances.starting", ["up"]);
  await eventually("v3 is proven", proven(3), 60_000);
  assert.equal((await get(url)).body, "v3\n");

  await cutAt("release.created", ["rollback", "v2"]);
  await eventually("v4 is proven", proven(4), 60_000);
  assert.equal((await get(url)).body, "v2\n");

  site.write({ "root/www/index.html": "v5\n" });
  site.define({ environment });
  await cutAt("traffic.switched", ["up"]);
  assert.equal((await site.releases()).at(-1)?.state, "watching");
  await eventually("v5 is proven", proven(5), 60_000);
  assert.equal((await get(url)).body, "v5\n");

  await settled(site);
  await checkWhole(site, ["shop"], boots);
  const states = (await site.releases()).map(({ release: number, state }) => `v${number} ${state}`);
  assert.deepEqual(states, ["v1 proven", "v2 proven", "v3 proven", "v4 proven", "v5 proven"]);
  const { healthy, wanted } = await site.status();
  t.diagnostic(`${boots - 1} power cuts: ${states.join(", ")}; ${healthy} of ${wanted} serve`);
});
