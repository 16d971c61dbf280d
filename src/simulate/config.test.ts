import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { asked, done, recordOf, request } from "./testing.ts";
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
