import assert from "node:assert/strict";
import test from "node:test";
import { changeConfig } from "../controller/config.ts";
import { deploy } from "../controller/deploy.ts";
import { foldEvents } from "../ledger/fold.ts";
import { mortal, type Moment } from "./mortal.ts";
import { asked, done, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const set = { LEVEL: "debug", NEW: "1" };

/** @returns how many appends and effects the change took; fewer than `at`: nobody died */
async function killAt(at: number, moment: Moment): Promise<number> {
  const world = createWorld();
  const settings = { instances: 1, watchMs: 0, keepWarmMs: 0 };
  const before = await world.startController();
  await done(world, deploy(before, { ...request("one", settings), config: { LEVEL: "info" } }));
  await world.clock.advance(1_000);
  await before.stop();
  let points = 0;
  let isAsked = false;
  const first = await world.startController((ports) =>
    mortal(ports, () => {
      if (isAsked) points += 1;
      return isAsked && points === at ? moment : undefined;
    }),
  );
  isAsked = true;
  changeConfig(first, { ...asked, set }).catch(() => {});
  await world.clock.advance(2_000);
  void first.stop();
  const second = await world.startController();
  await world.clock.advance(40_000);
  const record = recordOf(second);
  const live = record.releases.get(record.live?.release ?? 0);
  const what = `killed ${moment} append or effect ${at}`;
  const isNew = live?.number === 2;
  assert.deepEqual(live?.content.config, isNew ? set : { LEVEL: "info" }, what);
  assert.deepEqual(record.configOrigin, { defined: { LEVEL: "info" }, overrides: isNew ? set : {} }, what);
  assert.deepEqual(
    second.fleet.all().map((one) => one.set),
    [record.live?.set],
    what,
  );
  assert.deepEqual(foldEvents(world.journal.read()), second.state, what);
  await second.stop();
  return points;
}

test("a daemon killed at any append or effect of a config change: all of it or nothing, and the overrides with it", async () => {
  let at = 1;
  for (; (await killAt(at, "before")) >= at; at += 1) await killAt(at, "after");
  assert.ok(at > 10, `${at} points`);
});
