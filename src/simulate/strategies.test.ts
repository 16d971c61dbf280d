import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import type { Controller } from "../controller/controller.ts";
import { strategyNamed, type Strategy } from "../model/strategy.ts";
import { done, live, names, recordOf, request } from "./testing.ts";
import { clientsOf } from "./traffic.ts";
import { createWorld, type World } from "./world.ts";

const instances = 4;
const canary: Strategy = {
  kind: "canary",
  steps: [
    { weight: 1_000, holdMs: 20_000, analyse: true },
    { weight: 5_000, holdMs: 20_000, analyse: true },
  ],
};
const all: readonly (readonly [string, Strategy])[] = [
  ["recreate", strategyNamed("recreate")],
  ["rolling", strategyNamed("rolling")],
  ["rolling without surge", { kind: "rolling", maxSurge: 0, maxUnavailable: 1 }],
  ["blue-green with a hold", { kind: "blue-green", holdMs: 20_000, preview: { host: "next.example", path: "/" } }],
  ["canary", canary],
];

async function oneLive(strategy: Strategy): Promise<{ world: World; controller: Controller }> {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one", { instances, strategy })));
  await world.clock.advance(61_000);
  return { world, controller };
}

/** Rest: one content, all its instances, all requests. */
async function assertRest(world: World, controller: Controller, release: number): Promise<void> {
  await world.clock.advance(120_000);
  const record = recordOf(controller);
  assert.deepEqual([live(controller), record.active], [release, null]);
  const set = record.live?.set ?? assert.fail();
  assert.equal(names(controller, set).length, record.settings.instances);
  const { rules } = await world.router.observe();
  assert.deepEqual(rules, [{ route: { host: null, path: "/" }, stable: set }]);
  for (const one of record.sets.values()) assert.ok(["live", "warm"].includes(one.role), `${one.name} is ${one.role}`);
}

for (const [name, strategy] of all) {
  test(`${name}: goes forward under load without a failed request, and comes to rest`, async () => {
    const { world, controller } = await oneLive(strategy);
    const clients = clientsOf(world);
    await done(world, deploy(controller, request("two", { instances, strategy })), 600_000);
    assert.equal(live(controller), 2);
    await assertRest(world, controller, 2);
    assert.equal(clients.stop().failed, 0);
    await controller.stop();
  });
}
