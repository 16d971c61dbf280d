import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { killAtEveryEvent } from "./support/kill-plan.ts";
import type { KillPoint } from "./support/killed-daemon.ts";
import { createKillSite, type KillSite, type Operation } from "./support/kills.ts";

const timeout = 900_000;

// Each waits most of the time, on a site of its own: two at once use both cores.
suite("kill -9 of the daemon", { concurrency: 2, timeout }, () => {
  test("before and after every event of a deploy changes nothing", { timeout }, async (t) => {
    const site = await createKillSite(t);
    await killAtEach(t, site, ["deploy"]);
    await assertServed(t, site);
  });

  test("before and after every event of a rollback changes nothing", { timeout }, async (t) => {
    const site = await createKillSite(t);
    await killAtEach(t, site, ["warm rollback", "cold rollback"]);
    await assertServed(t, site);
  });

  test("that goes on after kill -9 changes nothing", { timeout }, async (t) => {
    const site = await createKillSite(t);
    for (const [index, chain] of chains.entries()) await site.kill("deploy", chain, chains[index + 1]?.[0]);
    t.diagnostic(`${chains.flat().length} kills in ${chains.length} deploys`);
    await assertServed(t, site);
  });
});

async function killAtEach(t: TestContext, site: KillSite, operations: readonly Operation[]): Promise<void> {
  for (const operation of operations) {
    const { points, kills, missed } = await killAtEveryEvent(site, operation, { together: true, say: () => {} });
    assert.deepEqual(missed, [], `no daemon died at these events of a ${operation}`);
    assert.ok(points.length >= 16, `${operation} has ${points.length} points`);
    const slowest = Math.max(...kills.map(({ restartMs }) => restartMs));
    t.diagnostic(
      `${operation}: ${points.length} points at ${points.length / 2} events, ${kills.length} kills; answering again after ${Math.round(slowest)} ms at most`,
    );
  }
}

async function assertServed(t: TestContext, site: KillSite): Promise<void> {
  const { requests, failed, examples } = await site.stopLoad();
  t.diagnostic(`${requests} requests, ${failed} failed`);
  assert.equal(failed, 0, examples.join("\n"));
  assert.ok(requests > 1_000, `${requests} requests`);
}

const during = (kind: KillPoint["kind"], moment: KillPoint["moment"]): KillPoint => ({
  kind,
  occurrence: 1,
  moment,
  since: "deploy",
});
const starting = (occurrence: number, moment: KillPoint["moment"]): KillPoint => ({
  kind: "any",
  occurrence,
  moment,
  since: "start",
});
/** The first event of a start is the start itself, the second what it goes on with. */
const chains: readonly (readonly KillPoint[])[] = [
  [during("release.created", "after"), starting(1, "before"), starting(1, "after")],
  [during("instances.starting", "after"), starting(2, "before")],
  [during("instance.healthy", "before"), starting(2, "after"), starting(2, "before")],
  [during("traffic.switching", "after"), starting(2, "before"), starting(2, "after")],
  [during("traffic.switched", "after"), starting(1, "after"), starting(2, "after")],
  [during("set.removed", "before"), starting(2, "before")],
];
