import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { applyEvent } from "../ledger/fold.ts";
import { emptyState } from "../ledger/state.ts";
import type { InstanceName } from "../model/names.ts";
import { asked, digestOf, done, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const hourMs = 3_600_000;

/** What happened and when, by the ledger's own timeline. */
function story(world: World): readonly string[] {
  const state = emptyState();
  const told: string[] = [];
  for (const event of world.journal.read()) {
    applyEvent(state, event);
    if (event.data.kind !== "clock.jumped") told.push(`${state.timeline.lastMs} ${event.data.kind}`);
  }
  return told;
}

/** A life with every kind of deadline in it, and a jump of the clock at one moment of it. */
async function live(jump: { readonly atMs: number; readonly byMs: number } | null): Promise<readonly string[]> {
  const world = createWorld();
  if (jump !== null) world.clock.after(jump.atMs, () => world.clock.jump(jump.byMs));
  let controller = await world.startController();
  const settings = { keepWarmMs: 40_000, deadlineMs: 20_000 };
  await done(world, deploy(controller, request("one", settings)));
  await world.clock.advance(61_000);
  // Never healthy: ended by its deadline. Then one that comes through, and a daemon that takes over while it is watched.
  world.machine.behave({ readyMs: null }, digestOf("never"));
  await done(
    world,
    deploy(controller, request("never", settings)).catch(() => {}),
  );
  await done(world, deploy(controller, request("two", settings)));
  await world.clock.advance(20_000);
  await controller.stop();
  await world.clock.advance(2_000);
  controller = await world.startController();
  for (const name of ["shop-production-v3-1", "shop-production-v3-3"]) {
    world.machine.exit(name as InstanceName, 1);
    await world.clock.advance(5_000);
  }
  await done(world, rollback(controller, asked));
  await world.clock.advance(70_000);
  await controller.stop();
  return story(world);
}

test(
  "a clock that jumps an hour either way, at any moment, changes nothing that happens",
  { timeout: 120_000 },
  async () => {
    const undisturbed = await live(null);
    assert.ok(undisturbed.length > 30, undisturbed.join("\n"));
    for (const byMs of [hourMs, -hourMs])
      for (let atMs = 0; atMs < 200_000; atMs += 7_900)
        assert.deepEqual(await live({ atMs, byMs }), undisturbed, `${byMs} ms at ${atMs} ms`);
  },
);
