import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommandResult } from "./support/bronze.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import { eventually, get, type DeployResult } from "./support/bronze.ts";
import { createDeathSite, writeDyingApp } from "./support/deaths.ts";
import { describe } from "./support/deaths-load.ts";

const kill = (pid: number | null | undefined): void => void process.kill(pid ?? assert.fail("no process"), "SIGKILL");

test("kill -9 of what serves loses nothing but what was in flight on it", { timeout: 400_000 }, async (t) => {
  const { site, load, supervisorOf, routerProcesses, replaced, report } = await createDeathSite(t, 3);

  await t.test("an instance: what can be sent elsewhere is", async (step) => {
    const { instances } = await site.status();
    for (const { name, pid } of instances) {
      kill(pid);
      await replaced([name]);
    }
    const seen = await report();
    step.diagnostic(`${instances.length} instances killed: ${describe(seen)}`);
    assert.equal(seen.lost, 0, seen.failures.join("; "));
    assert.ok(seen.failures.length <= instances.length * load.clients, seen.failures.join("; "));
  });

  await t.test("its conmon: it serves until its replacement does", async (step) => {
    const { instances } = await site.status();
    for (const { name } of instances) {
      kill(supervisorOf(name));
      await replaced([name]);
    }
    const seen = await report();
    step.diagnostic(`${instances.length} conmon killed: ${describe(seen)}`);
    assert.deepEqual(seen.failures, []);
    const history = (await site.bronze(["history"])).stdout;
    assert.match(history, /its supervisor ended/);
  });

  await t.test("an instance and its conmon at once", async (step) => {
    const { instances } = await site.status();
    const victim = instances[0];
    kill(supervisorOf(victim?.name ?? ""));
    kill(victim?.pid);
    await replaced([victim?.name ?? ""]);
    const seen = await report();
    step.diagnostic(describe(seen));
    assert.equal(seen.lost, 0, seen.failures.join("; "));
  });

  await t.test("HAProxy's worker and master: no new connection is refused, routes are as before", async (step) => {
    const before = await routerProcesses();
    for (const victim of ["worker", "haproxy"] as const) {
      const now = await routerProcesses();
      kill(now[victim]);
      await eventually("another HAProxy", async () => {
        const after = await routerProcesses().catch(() => undefined);
        return after !== undefined && after.haproxy !== now.haproxy && after.haproxy !== 0;
      });
      const seen = await report();
      step.diagnostic(`${victim}: ${describe(seen)}`);
      assert.equal(seen.refused, 0);
      assert.ok(seen.failures.length <= load.clients, seen.failures.join("; "));
    }
    const after = await routerProcesses();
    assert.deepEqual([after.supervisor, after.port, after.starts], [before.supervisor, before.port, before.starts + 2]);
    await replaced([]);
    const seen = await report();
    assert.deepEqual(seen.failures, []);
  });

  await t.test("the supervisor of HAProxy: nothing fails, another one takes over", async (step) => {
    const before = await routerProcesses();
    kill(before.supervisor);
    await eventually("another supervisor", async () => {
      const after = await routerProcesses().catch(() => undefined);
      return after !== undefined && after.supervisor !== before.supervisor;
    });
    const after = await routerProcesses();
    assert.deepEqual([after.haproxy, after.worker, after.port], [before.haproxy, before.worker, before.port]);
    const seen = await report();
    step.diagnostic(describe(seen));
    assert.deepEqual(seen.failures, []);
  });

  await t.test("all instances at once: new requests wait for the next ones", async (step) => {
    const { instances } = await site.status();
    for (const { pid } of instances) kill(pid);
    await replaced(instances.map(({ name }) => name));
    const seen = await report();
    step.diagnostic(describe(seen));
    assert.equal(seen.refused, 0);
    // In flight on one as it dies, and once more on the next one that dies a moment later.
    assert.ok(seen.failures.length <= load.clients * instances.length, seen.failures.join("; "));
  });

  await t.test("an instance while the daemon is dead: the router sends elsewhere by itself", async (step) => {
    const { daemon } = await site.json<StatusReport>(["status"]);
    const victim = (await site.status()).instances[0];
    kill(daemon.pid);
    kill(victim?.pid);
    await sleep(1_500);
    const alone = await report();
    step.diagnostic(`without a daemon: ${describe(alone)}`);
    assert.equal(alone.lost, 0, alone.failures.join("; "));
    await site.json<DeployResult>(["up"]);
    await replaced([victim?.name ?? ""]);
    const seen = await report();
    step.diagnostic(`with the next daemon: ${describe(seen)}`);
    assert.deepEqual(seen.failures, []);
  });
});

test(
  "kill -9 of all instances during a rollout leaves all of the new or all of the old",
  { timeout: 400_000 },
  async (t) => {
    const { site, load, url, replaced, report } = await createDeathSite(t, 2);
    let version = 1;
    for (const victims of ["old", "new", "old and new"] as const) {
      await t.test(`the ${victims} ones`, async (step) => {
        const before = await site.status();
        version += 1;
        // Slow to start, so that it is certain to be under way when its rollout's processes die.
        writeDyingApp(site, String(version), 2_000);
        const going: Promise<CommandResult> = site.bronze(["up"]);
        let now = before;
        await eventually("the new ones run", async () => {
          now = await site.status();
          return now.rollout !== null && now.instances.some(({ role, pid }) => role === "next" && pid !== null);
        });
        const killed = now.instances.filter(
          ({ role, pid }) =>
            pid !== null && (role === "next" ? victims !== "old" : role === "live" && victims !== "new"),
        );
        for (const { pid } of killed) {
          try {
            kill(pid);
          } catch (error) {
            // It went by itself meanwhile.
            assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
          }
        }
        const result = await going;
        assert.ok(result.status === 0 || result.status === 5, `${result.status}: ${result.stderr}`);
        const after = await replaced(killed.map(({ name }) => name));
        const isNew = result.status === 0;
        assert.equal(after.live?.release === before.live?.release, !isNew, "what is live is what the command said");
        const live = after.instances.filter(({ role }) => role === "live");
        assert.deepEqual(
          live.map(({ release }) => release),
          live.map(() => after.live?.release),
        );
        assert.equal((await get(url)).status, 200);
        const seen = await report();
        step.diagnostic(
          `${killed.length} killed, ${isNew ? "the new release" : "the old release"} is live: ${describe(seen)}`,
        );
        assert.equal(seen.refused, 0);
        // In flight on one as it dies, and once more on the next one that dies a moment later.
        assert.ok(seen.failures.length <= load.clients * killed.length, seen.failures.join("; "));
        assert.equal(isNew, victims === "old", "new ones that end before they were healthy end their rollout");
        if (victims === "new") assert.deepEqual(seen.failures, []);
      });
    }
  },
);
