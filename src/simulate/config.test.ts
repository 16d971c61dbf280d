import assert from "node:assert/strict";
import test from "node:test";
import { changeConfig } from "../controller/config.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { asked, done, fails, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

test("a release's config is what the definition says; another config is another release, and a rollback brings it back", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const record = () => recordOf(controller);
  await done(world, deploy(controller, { ...request("one"), config: { LEVEL: "info" } }));
  await world.clock.advance(61_000);
  const again = await done(world, deploy(controller, { ...request("one"), config: { LEVEL: "info" } }));
  assert.equal(again.created, false);
  const second = await done(world, deploy(controller, { ...request("one"), config: { LEVEL: "warn", B: "2" } }));
  assert.deepEqual(second.release.content.config, { B: "2", LEVEL: "warn" });
  await world.clock.advance(61_000);
  const third = await done(world, rollback(controller, asked));
  assert.deepEqual([third.release.of, third.release.content.config], [1, { LEVEL: "info" }]);
  assert.deepEqual(record().configOrigin, { defined: { LEVEL: "info" }, overrides: {} });
  assert.deepEqual(
    [...record().releases.values()].map(({ configVersion, before }) => [configVersion, before]),
    [
      [1, null],
      [2, 1],
      [1, 2],
    ],
  );
  await controller.stop();
});

test("changeConfig() makes one release of all changes; a later deploy keeps them, and a rollback brings back what was in effect", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const overrides = () => recordOf(controller).configOrigin.overrides;
  const seen = () => recordOf(controller).releases.get(recordOf(controller).live?.release ?? 0)?.content.config;
  const asDefined = { LEVEL: "info", MODE: "plain", GONE: "x" };
  await done(world, deploy(controller, { ...request("one"), config: asDefined }));
  await world.clock.advance(61_000);
  const set = { LEVEL: "debug", NEW: "1", GONE: null };
  const changed = await done(world, changeConfig(controller, { ...asked, set }));
  assert.deepEqual([changed?.release.number, changed?.created], [2, true]);
  assert.deepEqual(seen(), { LEVEL: "debug", MODE: "plain", NEW: "1" });
  assert.deepEqual(changed?.release.content.artifact, request("one").artifact);
  await world.clock.advance(61_000);
  // The next deploy keeps the overrides, whatever the definition says now.
  await done(world, deploy(controller, { ...request("two"), config: { ...asDefined, LEVEL: "warn" } }));
  assert.deepEqual([seen()?.["LEVEL"], seen()?.["NEW"], seen()?.["GONE"]], ["debug", "1", undefined]);
  await world.clock.advance(61_000);
  const ended = await done(world, changeConfig(controller, { ...asked, unset: ["LEVEL", "MODE"] }));
  assert.deepEqual([ended?.release.number, seen()?.["LEVEL"]], [4, "warn"]);
  await world.clock.advance(61_000);
  await done(world, rollback(controller, asked));
  assert.deepEqual([seen()?.["LEVEL"], overrides()], ["debug", set]);
  await world.clock.advance(61_000);
  await done(world, rollback(controller, { ...asked, to: 1 }));
  assert.deepEqual([seen(), overrides()], [asDefined, {}]);
  // What the config was made of comes back too: the definition of then.
  await done(world, changeConfig(controller, { ...asked, set: { LEVEL: "x" } }));
  await done(world, changeConfig(controller, { ...asked, unsetAll: true }));
  assert.deepEqual(seen(), asDefined);
  await controller.stop();
});

test("changeConfig() makes no release of what changes nothing, but keeps in mind what it is made of", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, { ...request("one"), config: { LEVEL: "info" } }));
  const same = await done(world, changeConfig(controller, { ...asked, set: { LEVEL: "info" } }));
  assert.deepEqual([same?.release.number, same?.created], [1, false]);
  await world.clock.advance(61_000);
  const next = await done(world, deploy(controller, { ...request("two"), config: { LEVEL: "warn" } }));
  assert.equal(next.release.content.config["LEVEL"], "info");
  await world.clock.advance(61_000);
  await done(world, rollback(controller, asked));
  assert.deepEqual(recordOf(controller).configOrigin, { defined: { LEVEL: "info" }, overrides: { LEVEL: "info" } });
  await controller.stop();
});

test("changeConfig() keeps overrides for what comes first, also across a restart, and after all was taken down", async () => {
  const world = createWorld();
  let controller = await world.startController();
  assert.equal(await done(world, changeConfig(controller, { ...asked, set: { A: "1" } })), null);
  await controller.stop();
  controller = await world.startController();
  const first = await done(world, deploy(controller, { ...request("one"), config: { B: "2" } }));
  assert.deepEqual([first.release.number, first.release.content.config], [1, { A: "1", B: "2" }]);
  await done(world, down(controller, asked));
  assert.equal(await done(world, changeConfig(controller, { ...asked, set: { C: "3" } })), null);
  const again = await done(world, deploy(controller, { ...request("one"), config: { B: "2" } }));
  assert.deepEqual(again.release.content.config, { A: "1", B: "2", C: "3" });
  await controller.stop();
});

test("changeConfig() goes on from what is on its way, and a failed one leaves overrides as they were", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const coming = deploy(controller, request("two"));
  coming.catch(() => {});
  while (recordOf(controller).active === null) await Promise.resolve();
  const changed = await done(world, changeConfig(controller, { ...asked, set: { A: "1" } }));
  await fails(world, coming, "ROLLOUT_SUPERSEDED");
  assert.deepEqual(changed?.release.content.artifact, request("two").artifact);
  world.machine.behave({ readyMs: null });
  await fails(world, changeConfig(controller, { ...asked, set: { A: "2" } }), "ROLLOUT_UNHEALTHY");
  assert.deepEqual(recordOf(controller).configOrigin.overrides, { A: "1" });
  await controller.stop();
});

test("changeConfig() lets nothing through that has tests to pass yet", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behaveTask("unit", { code: 1 });
  const tests = [{ run: ["unit"], deadlineMs: 60_000, env: {} }];
  const coming = deploy(controller, { ...request("two"), tests });
  coming.catch(() => {});
  while (recordOf(controller).active === null) await Promise.resolve();
  await fails(world, changeConfig(controller, { ...asked, set: { A: "1" } }), "TEST_FAILED");
  assert.equal(recordOf(controller).live?.release, 1);
  await controller.stop();
});

test("changeConfig() names what was most likely meant, and refuses more than a record should carry", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, { ...request("one"), config: { LOG_LEVEL: "info" } }));
  const error = await fails(world, changeConfig(controller, { ...asked, unset: ["LOG_LEVLE"] }), "NOT_FOUND");
  assert.match(error.hint, /did you mean LOG_LEVEL\?/);
  const large = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`A${i}`, "x".repeat(30_000)]));
  await fails(world, changeConfig(controller, { ...asked, set: large }), "ARGUMENT_INVALID");
  assert.equal(recordOf(controller).lastRelease, 1);
  await controller.stop();
});
