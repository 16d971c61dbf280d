import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { ReleaseRow } from "../src/model/api/releases.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import type { AuditReport } from "../src/model/api/trust.ts";
import { createSite, eventually, get, keepAsking, type DeployResult } from "./support/bronze.ts";
import { eachOf, hostOf, up, upCrowd, writeApp } from "./support/crowd.ts";
import { leaksOf, remainsOf, rightfulOf } from "./support/leaks.ts";

const crowdSize = 60;
const instances = 2;
/** Sets that the router's first pool has room for. */
const firstPool = 64;
/** With what these keep warm there are more. */
const deployedAtOnce = 12;

test(
  "60 apps of 2 instances on one machine: all answer, and a 61st deploys and rolls back as alone",
  { timeout: 300_000 },
  async (t) => {
    const site = createSite(t);
    const began = performance.now();
    const { url, apps } = await upCrowd(site, crowdSize, instances);
    t.diagnostic(`${crowdSize} apps up in ${Math.round(performance.now() - began)} ms`);

    const answers = async (app: string, version: string): Promise<void> => {
      const { status, body } = await get(url, { host: hostOf(app) });
      assert.deepEqual([status, body], [200, `${app} ${version}\n`]);
    };
    await eachOf(apps, (app) => answers(app, "1"));

    const report = await site.bronze(["status"]);
    assert.equal(report.status, 0);
    const lines = report.stdout.trimEnd().split("\n");
    t.diagnostic(`status: ${lines.length} lines in ${Math.round(report.ms)} ms`);
    assert.ok(lines.length < crowdSize + 10, "status gives each of many apps one line");
    for (const app of apps) assert.equal(lines.filter((line) => line.startsWith(`${app} `)).length, 1, app);

    site.define({ environment: ["rollback: { watch: 0s }"] });
    await site.json<DeployResult>(["up"]);
    const load = keepAsking(url, 20);
    const other = keepAsking(url, 20, { host: hostOf("app30") });
    t.after(() => Promise.all([load.stop(), other.stop()]));
    site.write({ "root/www/index.html": "v2\n" });
    const deployed = await site.json<DeployResult>(["up"]);
    const back = await site.json<DeployResult>(["rollback"]);
    assert.deepEqual([deployed.release, back.of], [2, 1]);
    const served = await load.stop();
    assert.deepEqual([served.failures, served.bodies], [[], ["v1", "v2"]]);
    t.diagnostic(`deploy in ${deployed.elapsedMs} ms, rollback in ${back.elapsedMs} ms, warm: ${back.warm}`);

    const some = apps.slice(0, deployedAtOnce);
    await eachOf(some, (app) => up(site, writeApp(site, app, instances, "2")));
    await eachOf(some, (app) => answers(app, "2"));
    await eachOf(apps.slice(deployedAtOnce), (app) => answers(app, "1"));
    const unmoved = await other.stop();
    assert.deepEqual([unmoved.failures, unmoved.bodies], [[], ["app30 1"]]);
    const config = readFileSync(join(site.state, "router/haproxy.cfg"), "utf8");
    const pool = config.match(/^backend b\d+ /gm)?.length ?? 0;
    assert.ok(pool > firstPool, `the router grew its pool: ${pool} backends`);
    t.diagnostic(`${served.requests} requests to the app that deployed, ${unmoved.requests} to another: 0 failed`);

    assert.equal((await site.json<AuditReport>(["audit", "verify"])).ok, true);
    const releases: ReleaseRow[] = [];
    await eachOf([...apps, "shop"], async (app) => {
      releases.push(...(await site.json<readonly ReleaseRow[]>(["releases", "--app", app])));
    });
    const leaks = async () => leaksOf(site.state, rightfulOf(await site.json<StatusReport>(["status"]), releases));
    await eventually("nothing leaked", async () => (await leaks()).length === 0).catch(async () =>
      assert.deepEqual(await leaks(), []),
    );
    assert.equal((await site.bronze(["down", "--all"])).status, 0);
    await eventually("nothing remains", () => remainsOf(site.state).length === 0);
  },
);
