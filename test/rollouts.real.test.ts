import assert from "node:assert/strict";
import test from "node:test";
import type { RolloutResult } from "../src/model/api/rollouts.ts";
import { get } from "./support/bronze.ts";
import { startLasting, startStream, type Lasting } from "./support/lasting.ts";
import { createRolloutSite, instances } from "./support/rollouts.ts";

/** How long lasting requests take: longer than a rollout, shorter than the drain. */
const lastingMs = 4_000;

async function allWhole(lasting: readonly Lasting[], release: number): Promise<void> {
  for (const { kind, end } of lasting) {
    const { whole, instance } = await end;
    assert.ok(whole && instance.includes(`-v${release}-`), `${kind} from ${instance}, v${release} had it: ${whole}`);
  }
}

test(
  "rolling, blue-green, canary and recreate lose no request, long ones neither, through kill -9 of the daemon in each",
  { timeout: 400_000 },
  async (t) => {
    const at = await createRolloutSite(t);
    const { site, url, up, rollout, killDaemon, version, events, nothingFailed, onlyLeft } = at;
    await at.load.window();
    const done = async (asked: ReturnType<typeof up>, status = 0): Promise<string> => {
      const result = await asked;
      assert.equal(result.status, status, result.stderr);
      return result.stdout + result.stderr;
    };
    const change = (...args: readonly string[]): Promise<RolloutResult> => site.json(["rollout", ...args]);

    await t.test("rolling: paused, resumed, killed; each instance ends when its requests have", async () => {
      const lasting = await startLasting(url, lastingMs);
      const endless = startStream(url, 120_000);
      const asked = up("rolling:1/1");
      await rollout("a step", ({ step }) => step > 0);
      await change("pause", "-m", "to look at it");
      await killDaemon();
      const { paused, sets } = await rollout("those that were on their way are ready", (one) =>
        one.sets.every(({ weight, ready, instances: all }) => (weight ?? 0) > 0 && ready === all),
      );
      assert.match(paused?.reason ?? "", /to look at it/);
      assert.equal(
        sets.reduce((sum, { weight }) => sum + (weight ?? 0), 0),
        10_000,
      );
      await change("resume");
      await killDaemon();
      assert.match(await done(asked), /v2 live/);
      await allWhole(lasting, 1);
      assert.deepEqual(await endless.end.then(({ whole }) => whole), false, "the drain deadline came");
      await onlyLeft(2);
      await nothingFailed([1, 2]);
    });

    await t.test(
      "blue-green: the next one is seen at its preview address and by name, until a person resumes",
      async () => {
        const lasting = await startLasting(url, lastingMs);
        const asked = up("blue-green");
        await rollout("it waits for a person", ({ paused }) => paused?.by === "plan");
        await killDaemon();
        const { paused, weight } = await rollout("all are healthy", ({ healthy }) => healthy === instances);
        assert.deepEqual([paused?.by, weight], ["plan", 0]);
        const preview = { host: "next.shop.example" };
        for (const [headers, wanted] of [
          [{}, 2],
          [preview, 3],
          [{ "x-bronze-release": "canary" }, 3],
          [{ "x-bronze-release": "v3" }, 3],
          [{ "x-bronze-release": "stable", cookie: "bronze-release=canary" }, 2],
          [{ cookie: "bronze-release=v3" }, 3],
          [{ cookie: "bronze-release=v1" }, 2],
        ] as const)
          assert.equal(await version(headers), wanted, JSON.stringify(headers));
        await nothingFailed([2]);
        await change("resume");
        assert.match(await done(asked), /v3 live[^]*bronze rollout resume/);
        assert.equal(await version(), 3);
        assert.equal(await version(preview), 3);
        await allWhole(lasting, 2);
        await onlyLeft(3);
        await nothingFailed([2, 3]);
      },
    );

    await t.test("canary: its share and who asks for it; the instances that answered serve on", async () => {
      const lasting = await startLasting(url, lastingMs);
      const asked = up("canary:30@person,60@300ms");
      const first = await rollout("its first step", ({ paused }) => paused !== null);
      assert.deepEqual([first.step, first.steps, first.weight], [1, 2, 3_000]);
      await killDaemon();
      const { sets } = await rollout("they are asked", ({ sets: now }) =>
        now.every((one) => one.ready === one.instances),
      );
      assert.deepEqual(
        sets.map((set) => [set.release, set.ready, set.weight]),
        [
          [3, 4, 7_000],
          [4, 2, 3_000],
        ],
      );
      const found = new Set<number>();
      for (let n = 0; n < 60; n += 1) found.add(await version());
      assert.deepEqual(found, new Set([3, 4]));
      for (let n = 0; n < 10; n += 1) {
        assert.equal(await version({ "x-bronze-release": "stable" }), 3);
        assert.equal(await version({ cookie: "bronze-release=canary" }), 4);
      }
      const pids = async (): Promise<readonly (number | null)[]> =>
        (await site.status()).instances.filter(({ release }) => release === 4).map(({ pid }) => pid);
      const canaries = await pids();
      assert.equal(canaries.length, 2);
      const { state } = await change("complete");
      assert.equal(state, "proven");
      assert.match(await done(asked), /v4 live/);
      await allWhole(lasting, 3);
      await onlyLeft(4);
      const serving = await pids();
      assert.ok(
        canaries.every((pid) => serving.includes(pid)),
        `${canaries.join()} of ${serving.join()}`,
      );
      await nothingFailed([3, 4]);
    });

    await t.test("canary: aborted, it has no request from there on, and what is live was never touched", async () => {
      const before = (await site.status()).instances.map(({ pid }) => pid);
      const asked = up("canary:50@person");
      await rollout("its step", ({ sets, paused }) => paused !== null && sets.some(({ weight }) => weight === 5_000));
      const lasting = await startLasting(url, lastingMs);
      const { serving } = await change("abort", "-m", "not today");
      assert.equal(serving, 4);
      for (let n = 0; n < 40; n += 1) assert.equal(await version(), 4);
      assert.equal(await version({ "x-bronze-release": "v5" }), 4);
      assert.match(await done(asked, 5), /aborted it, not today/);
      for (const { end, kind } of lasting) assert.ok((await end).whole, kind);
      await onlyLeft(4);
      assert.deepEqual(
        (await site.status()).instances.map(({ pid }) => pid),
        before,
      );
      await nothingFailed([4, 5]);
    });

    await t.test("recreate: requests wait while what is live ends and the next one starts", async () => {
      const lasting = await startLasting(url, lastingMs);
      const asked = up("recreate");
      await rollout("what is live has to end", ({ release }) => release === 6);
      await killDaemon();
      const waiting = get(url);
      assert.match(await done(asked), /v6 live/);
      assert.match((await waiting).body, /version [46],/);
      await allWhole(lasting, 4);
      await onlyLeft(6);
      await nothingFailed([4, 6]);
      const kinds = (await events(6)).map(({ kind }) => kind);
      assert.ok(kinds.includes("traffic.switched") && !kinds.includes("rollout.stepped"), kinds.join());
    });

    at.load.kill();
    assert.equal((await site.json<{ readonly ok: boolean }>(["audit", "verify"])).ok, true);
  },
);
