import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import { placesOf } from "../src/model/places.ts";
import { createSite, eventually, get, keepAsking, type Site, type DeployResult } from "./support/bronze.ts";
import { leaksOf, remainsOf, rightfulOf } from "./support/leaks.ts";

/** Where the search of a state folder's daemon for a free /20 begins: the tag leads to one of 2,048. */
const firstChoice = (state: string): number => Number.parseInt(placesOf(state).tag, 16) % 2_048;

/** A state folder whose daemon begins its search where another's does. */
const rivalOf =
  (other: Site) =>
  (folder: string): string => {
    for (let n = 0; ; n += 1) {
      const state = join(folder, `s${n}`);
      if (firstChoice(state) === firstChoice(other.state)) return state;
    }
  };

async function subnetOf(site: Site): Promise<string> {
  const events = await site.json<readonly LedgerEvent[]>(["history", "--all", "-n", "1000"]);
  const last = events.toSorted((a, b) => b.seq - a.seq).find(({ data }) => data.kind === "network.chosen")?.data;
  assert.ok(last?.kind === "network.chosen");
  return last.subnet;
}

test(
  "three daemons at once: each deploys and rolls back, and one's end does the others no harm",
  {
    timeout: 240_000,
  },
  async (t) => {
    const sites: readonly Site[] = [createSite(t), createSite(t), createSite(t)];
    const results = await Promise.all(sites.map((site) => site.json<DeployResult>(["up", "--http-port", "0"])));
    const loads = results.map(({ url }) => keepAsking(url, 40));
    t.after(() => Promise.all(loads.map((load) => load.stop())));
    const subnets = await Promise.all(sites.map(subnetOf));
    assert.equal(new Set(subnets).size, 3, subnets.join(", "));
    const tags = sites.map(({ state }) => placesOf(state).tag);
    assert.equal(new Set(tags).size, 3);
    await Promise.all(
      sites.map(async (site, n) => {
        site.write({ "root/www/index.html": `second of ${n}\n` });
        await site.json(["up"]);
      }),
    );
    for (const [n, { url }] of results.entries()) assert.equal((await get(url)).body, `second of ${n}\n`);
    const backs = await Promise.all(sites.map((site) => site.json<DeployResult>(["rollback"])));
    assert.deepEqual(
      backs.map(({ of, warm }) => [of, warm]),
      [
        [1, true],
        [1, true],
        [1, true],
      ],
    );

    const [first, ...others] = sites;
    assert.ok(first);
    let requests = (await loads[0]?.stop())?.requests ?? 0;
    const down = await first.bronze(["down", "--all"]);
    assert.equal(down.status, 0, down.stderr);
    await eventually("nothing remains of the first", () => remainsOf(first.state).length === 0);
    for (const site of others) {
      const status = await site.json<StatusReport>(["status"]);
      const rightful = rightfulOf(status, await site.releases());
      await eventually("the other has what is its own", () => leaksOf(site.state, rightful).length === 0);
      site.write({ "root/www/index.html": "third\n" });
      assert.equal((await site.json<DeployResult>(["up"])).created, true);
    }
    for (const load of loads) {
      const { requests: more, failures } = await load.stop();
      assert.deepEqual(failures, []);
      requests += more;
    }
    t.diagnostic(`${subnets.join(", ")}; ${requests} requests, 0 failed`);
  },
);

test("of daemons that choose the same network at the same moment one yields", { timeout: 240_000 }, async (t) => {
  for (let round = 0; round < 3; round += 1) {
    const one = createSite(t);
    const other = createSite(t, undefined, rivalOf(one));
    const sites: readonly Site[] = [one, other];
    const results = await Promise.all(sites.map((site) => site.json<DeployResult>(["up", "--http-port", "0"])));
    const subnets = await Promise.all(sites.map(subnetOf));
    assert.equal(new Set(subnets).size, 2, subnets.join(", "));
    for (const [n, site] of sites.entries()) {
      const device = `bz${placesOf(site.state).tag}`;
      const routes = execFileSync("ip", ["-4", "route", "show", "dev", device], { encoding: "utf8" });
      assert.equal(routes.trim().split("\n").length, 1, routes);
      assert.ok(routes.startsWith(subnets[n] ?? "?"), routes);
      assert.equal((await get(results[n]?.url ?? "")).body, "v1\n");
    }
    t.diagnostic(subnets.join(" beside "));
    for (const site of sites) {
      assert.equal((await site.bronze(["down", "--all"])).status, 0);
      await eventually("nothing remains", () => remainsOf(site.state).length === 0);
    }
  }
});
