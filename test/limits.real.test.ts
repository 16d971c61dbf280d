import assert from "node:assert/strict";
import test from "node:test";
import { openSqliteJournal } from "../src/drivers/sqlite/journal.ts";
import { createSite, keepAsking, type DeployResult } from "./support/bronze.ts";

test(
  "a deploy for which no address is left exits 11 and says so; what is live goes on",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    // What the ledger says was chosen holds, whatever its size: seven addresses, of which five are for instances.
    const journal = openSqliteJournal(site.state);
    journal.append([{ atMs: Date.now(), data: { kind: "network.chosen", subnet: "10.250.77.0/29" } }]);
    journal.close();
    site.define({ instances: 3 });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const before = await site.status();
    const load = keepAsking(url, 20);
    site.write({ "root/www/index.html": "v2\n" });
    const refused = await site.bronze(["up"]);
    assert.equal(refused.status, 11, refused.stderr);
    assert.match(refused.stderr, /none is free in 10\.250\.77\.0\/29/);
    assert.match(refused.stderr, /all traffic is still on v1/);
    const after = await site.status();
    assert.deepEqual([after.live?.release, after.healthy, after.rollout], [1, 3, null]);
    const serving = ({ instances }: typeof after) =>
      instances.filter(({ role }) => role === "live").map(({ name, pid }) => [name, pid]);
    assert.deepEqual(serving(after), serving(before));
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    t.diagnostic(`exit ${refused.status}; ${requests} requests meanwhile, ${failures.length} failed`);
  },
);
