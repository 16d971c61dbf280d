import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { changeConfig } from "../controller/config.ts";
import { deploy } from "../controller/deploy.ts";
import { revoke } from "../controller/revoke.ts";
import { rollback } from "../controller/rollback.ts";
import { runCommand } from "../controller/run-command.ts";
import { environmentStatus, releaseRow } from "../controller/status.ts";
import { foldEvents } from "../ledger/fold.ts";
import { sha256 } from "../model/canonical.ts";
import { asked, done, fails, live, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const order = { who: "eve", why: "CVE-2026-1" };
const base = sha256("base");

const statusOf = (world: World, controller: Controller) =>
  environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:8080/",
  });

/** v1, v2 and v3 of three artifacts, the last one live; all are proven. */
async function threeReleases(settings: Parameters<typeof request>[1] = {}) {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  for (const text of ["one", "two", "three"]) {
    await done(world, deploy(controller, request(text, settings)));
    await world.clock.advance(61_000);
  }
  return { world, controller };
}

test("revoke() blocks what was made from a base by any way, and names the cause and the way", async () => {
  const { world, controller } = await threeReleases();
  world.verifier.made(sha256("middle"), base);
  world.verifier.made(sha256("two"), sha256("middle"));
  world.verifier.made(sha256("four"), sha256("middle"));
  const result = await revoke(controller, { ...order, artifact: base });
  assert.equal(result.changed, true);
  assert.equal(result.blocked.length, 3);
  // A deploy of what the ledger never knew is refused as much as of what was live.
  for (const [text, number] of [
    ["two", 4],
    ["four", 5],
  ] as const) {
    const error = await fails(world, deploy(controller, request(text)), "ARTIFACT_REVOKED");
    assert.equal(error.exitStatus, 6);
    assert.match(
      error.message,
      /was made from sha256:\w{12}, by way of sha256:\w{12}, which is revoked by eve: CVE-2026-1/,
    );
    const refused = recordOf(controller).releases.get(number);
    assert.deepEqual([refused?.rollout, refused?.failure?.code], ["aborted", "ARTIFACT_REVOKED"]);
  }
  assert.equal(live(controller), 3);
  const two = recordOf(controller).releases.get(2);
  assert.ok(two);
  assert.match(releaseRow(recordOf(controller), two).revoked ?? "", /CVE-2026-1/);
  // Rollback goes past it, by name not at all.
  assert.equal(statusOf(world, controller).rollback.target, 1);
  await fails(world, rollback(controller, { ...asked, to: 2 }), "ARTIFACT_REVOKED");
  await done(world, rollback(controller, asked));
  assert.deepEqual(states(controller).at(-1), [6, 1, "proven"]);
  await fails(world, rollback(controller, asked), "NO_ROLLBACK_TARGET");
  await controller.stop();
});

test("revoke() keeps no warm instances of what it blocks, and tells what runs", async () => {
  const { world, controller } = await threeReleases();
  assert.equal(statusOf(world, controller).rollback.ready, true);
  const warm = await revoke(controller, { ...order, artifact: sha256("two") });
  assert.deepEqual(
    warm.running.map(({ release, live, becomes }) => [release, live, becomes]),
    [[2, false, "it ends"]],
  );
  await world.clock.advance(60_000);
  assert.equal(
    controller.fleet.all().some(({ set }) => set === "shop-production-v2"),
    false,
  );
  const now = await revoke(controller, { ...order, artifact: sha256("three") });
  assert.match(now.running[0]?.becomes ?? "", /^it serves on \(revoked: report\); `bronze rollback` goes back to v1$/);
  await world.clock.advance(60_000);
  assert.equal(live(controller), 3);
  assert.ok(statusOf(world, controller).warnings.some((text) => text.includes("v3 runs what is revoked")));
  await controller.stop();
});

test("revoked: replace takes what is live back to the nearest earlier release that is not revoked", async () => {
  const { world, controller } = await threeReleases({ revoked: "replace" });
  await revoke(controller, { ...order, artifact: sha256("two") });
  const result = await revoke(controller, { ...order, artifact: sha256("three") });
  assert.match(result.running.find(({ live }) => live)?.becomes ?? "", /v4 is on its way|taken back to v1/);
  await world.clock.advance(30_000);
  assert.equal(live(controller), 4);
  const release = recordOf(controller).releases.get(4);
  assert.deepEqual([release?.of, release?.automatic], [1, true]);
  assert.match(release?.cause.why ?? "", /CVE-2026-1/);
  assert.equal(recordOf(controller).releases.get(3)?.proof, "taken back");
  assert.equal(recordOf(controller).quarantined.size, 0);
  // With nothing left to go to it serves on, and says so.
  await revoke(controller, { ...order, artifact: sha256("one") });
  await world.clock.advance(120_000);
  assert.equal(live(controller), 4);
  assert.ok(
    statusOf(world, controller).warnings.some((text) =>
      text.includes("it serves on, as there is no earlier proven release that is not revoked"),
    ),
  );
  assert.equal(recordOf(controller).lastRelease, 4);
  await controller.stop();
});

test("revoked: replace goes back once: what cannot come back does not take number after number", async () => {
  const { world, controller } = await threeReleases({ revoked: "replace", keepWarmMs: 0 });
  await world.clock.advance(60_000);
  world.machine.behave({ failure: "no room" });
  await revoke(controller, { ...order, artifact: sha256("three") });
  await world.clock.advance(3_600_000);
  assert.equal(live(controller), 3);
  assert.equal(recordOf(controller).lastRelease, 4);
  assert.ok(statusOf(world, controller).warnings.some((text) => text.includes("going back to v2 failed")));
  await controller.stop();
});

test("revoke() ends the rollout that brings what it blocks; what serves is left as it is", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 20_000 });
  const work = deploy(controller, request("two"));
  work.catch(() => {});
  await world.clock.advance(2_000);
  await revoke(controller, { ...order, artifact: sha256("two") });
  const error = await fails(world, work, "ARTIFACT_REVOKED");
  assert.match(error.hint, /v1 serves on/);
  assert.equal(live(controller), 1);
  await world.clock.advance(60_000);
  assert.equal(
    controller.fleet.all().some(({ set }) => set === "shop-production-v2"),
    false,
  );
  await controller.stop();
});

test("what is live of a revoked artifact may have its config changed, runs no commands, and is not deployed again", async () => {
  const { world, controller } = await threeReleases();
  await revoke(controller, { ...order, artifact: sha256("three") });
  await done(world, changeConfig(controller, { ...asked, set: { FEATURE: "off" } }));
  assert.equal(live(controller), 4);
  assert.throws(
    () => runCommand(controller, { ...asked, command: ["id"], request: "r", seen: 0 }),
    /is revoked by eve/,
  );
  await fails(world, deploy(controller, { ...request("three"), config: {} }), "ARTIFACT_REVOKED");
  await controller.stop();
});

test("revoke() --undo lifts it, with all that it blocked", async () => {
  const { world, controller } = await threeReleases();
  world.verifier.made(sha256("two"), base);
  await revoke(controller, { ...order, artifact: base });
  await revoke(controller, { ...order, artifact: sha256("one") });
  assert.equal((await revoke(controller, { ...order, artifact: base })).changed, false);
  assert.equal((await revoke(controller, { ...order, artifact: base, undo: true })).changed, true);
  assert.equal((await revoke(controller, { ...order, artifact: base, undo: true })).changed, false);
  assert.equal(statusOf(world, controller).rollback.target, 2);
  await done(world, rollback(controller, asked));
  assert.deepEqual(states(controller).at(-1), [4, 2, "proven"]);
  // What another revocation blocks stays so.
  await fails(world, rollback(controller, { ...asked, to: 1 }), "ARTIFACT_REVOKED");
  await controller.stop();
});

test("a release that the watch takes back does not bring back what is revoked", async () => {
  const { world, controller } = await threeReleases();
  await done(world, deploy(controller, request("four")));
  await revoke(controller, { ...order, artifact: sha256("three") });
  for (const { name } of controller.fleet.all().filter(({ set }) => set === "shop-production-v4"))
    world.machine.answer(name, 500);
  await world.clock.advance(30_000);
  assert.equal(live(controller), 5);
  assert.equal(recordOf(controller).releases.get(5)?.of, 2);
  await controller.stop();
});

test("after a kill at any moment a revocation holds, and what it takes back is taken back", async () => {
  const { world, controller } = await threeReleases({ revoked: "replace" });
  world.verifier.made(sha256("three"), base);
  await revoke(controller, { ...order, artifact: base });
  await controller.stop();
  const next = await world.startController(undefined, "boot");
  await world.clock.advance(30_000);
  assert.equal(recordOf(next).releases.get(live(next) ?? 0)?.of, 2);
  await fails(world, deploy(next, request("three")), "ARTIFACT_REVOKED");
  assert.deepEqual(foldEvents(world.journal.read()).revocations, next.state.revocations);
  await next.stop();
});
