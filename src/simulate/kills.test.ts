import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import type { EnvironmentSettings } from "../model/content.ts";
import { mortal, type Moment } from "./mortal.ts";
import { asked, done, live, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const operations = ["deploy", "warm rollback", "cold rollback"] as const;

async function prepared(operation: (typeof operations)[number]): Promise<World> {
  const world = createWorld();
  const controller = await world.startController();
  const settings = settingsOf(operation);
  await done(world, deploy(controller, request("one", settings)));
  await world.clock.advance(61_000);
  if (operation !== "deploy") await done(world, deploy(controller, request("two", settings)));
  await world.clock.advance(31_000);
  await controller.stop();
  return world;
}

function settingsOf(operation: (typeof operations)[number]): Partial<EnvironmentSettings> {
  return { keepWarmMs: operation === "warm rollback" ? 3_600_000 : 0, watchMs: 60_000 };
}

/** @returns how many appends and effects the operation took; fewer than `at`: nobody died */
async function killAt(operation: (typeof operations)[number], at: number, moment: Moment): Promise<number> {
  const world = await prepared(operation);
  const before = [...world.journal.read()].length;
  let isAsked = false;
  let points = 0;
  const first = await world.startController((ports) =>
    mortal(ports, () => {
      if (isAsked) points += 1;
      return isAsked && points === at ? moment : undefined;
    }),
  );
  isAsked = true;
  const work =
    operation === "deploy"
      ? deploy(first, request("two", { ...settingsOf(operation), withinMs: 7_000 }))
      : rollback(first, asked);
  work.catch(() => {});
  // As long as the operation takes; a daemon that died early is away for that time.
  await world.clock.advance(62_000);
  void first.stop();
  const second = await world.startController();
  await world.clock.advance(95_000);

  const events = [...world.journal.read()].slice(before).map(({ data }) => data);
  const accepted = events.some((event) => event.kind === "release.created");
  const record = recordOf(second);
  const expected = operation === "deploy" ? (accepted ? 2 : 1) : accepted ? 3 : 2;
  const what = `${operation} killed ${moment} append or effect ${at}`;
  assert.equal(live(second), expected, what);
  assert.equal(record.active, null, what);
  assert.equal(states(second).at(-1)?.[2], "proven", what);
  const serving = record.live?.set;
  assert.deepEqual(
    (await world.router.observe()).rules.map(({ stable }) => stable),
    [serving],
    what,
  );
  const sets = [...record.sets.values()];
  for (const { set } of second.fleet.all()) assert.ok(record.sets.has(set), `${what}: ${set} is left`);
  for (const { name } of sets)
    assert.equal(second.fleet.all().filter(({ set }) => set === name).length, 2, `${what}: ${name}`);
  assert.deepEqual(
    [...world.machine.prepared].sort(),
    sets.map(({ content }) => content.artifact).sort(),
    `${what}: artifacts`,
  );
  const kinds = events.map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === "release.created").length, accepted ? 1 : 0, what);
  assert.equal(kinds.filter((kind) => kind === "traffic.switched").length, accepted ? 1 : 0, what);
  await second.stop();
  return points;
}

for (const operation of operations) {
  test(`a daemon killed at any append or effect of a ${operation}: all new or all old, and nothing is left`, async (t) => {
    let at = 1;
    for (; (await killAt(operation, at, "before")) >= at; at += 1) await killAt(operation, at, "after");
    assert.ok(at > 12, `${at} points`);
    t.diagnostic(`${operation}: killed before and after each of ${at - 1} appends and effects`);
  });
}
