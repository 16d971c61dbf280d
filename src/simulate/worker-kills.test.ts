import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { mortal, type Moment } from "./mortal.ts";
import { asked, done, live, recordOf } from "./testing.ts";
import { createWorld, type World } from "./world.ts";
import { besideFor, drainMs, workDigest, workRequest, worker, workersNow } from "./workers.ts";

const operations = ["deploy", "warm rollback", "deploy that is taken back"] as const;
type Operation = (typeof operations)[number];

/** How long the daemon is away before the next one comes, in ms. */
const awayMs = 3_000;

async function prepared(operation: Operation): Promise<World> {
  const world = createWorld();
  // Those that do not end by themselves show whether their drain is kept to.
  world.machine.behave({ endsOnTerm: false }, undefined, worker);
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  if (operation === "warm rollback") {
    await done(world, deploy(controller, workRequest("two")));
    await world.clock.advance(61_000);
  }
  if (operation === "deploy that is taken back")
    world.machine.behave({ exitMs: 1_500, endsOnTerm: false }, workDigest("two"), worker);
  await controller.stop();
  return world;
}

/** @returns how many appends and effects the operation took; fewer than `at`: nobody died */
async function killAt(operation: Operation, at: number, moment: Moment): Promise<number> {
  const world = await prepared(operation);
  const before = [...world.journal.read()].length;
  let isAsked = false;
  let points = 0;
  const died = Promise.withResolvers<void>();
  const first = await world.startController((ports) =>
    mortal(ports, () => {
      if (isAsked) points += 1;
      if (!isAsked || points !== at) return undefined;
      died.resolve();
      return moment;
    }),
  );
  isAsked = true;
  const work = operation === "warm rollback" ? rollback(first, asked) : deploy(first, workRequest("two"));
  work.catch(() => {});
  let dead = false;
  void died.promise.then(() => (dead = true));
  await world.clock.until(() => dead, 30_000);
  const beside = await besideFor(world, awayMs, 100);
  void first.stop();
  const second = await world.startController();
  const besideThen = await besideFor(world, drainMs + 40_000, 200);

  const what = `${operation} killed ${moment} append or effect ${at}`;
  const events = [...world.journal.read()].slice(before).map(({ data }) => data);
  const record = recordOf(second);
  assert.equal(record.active, null, what);
  const liveSet = record.live?.set;
  assert.deepEqual(
    (await workersNow(world)).map((name) => name.replace(/-worker-\d+$/, "")),
    [liveSet],
    `${what}: one worker, of what is live`,
  );
  assert.ok(beside <= awayMs && besideThen <= drainMs + 2_000, `${what}: ${beside} and ${besideThen} ms side by side`);
  const accepted = events.some((event) => event.kind === "release.created");
  const expected = { deploy: accepted ? 2 : 1, "warm rollback": accepted ? 3 : 2, "deploy that is taken back": 3 };
  if (operation !== "deploy that is taken back" || accepted) assert.equal(live(second), expected[operation], what);
  for (const { name } of record.sets.values()) {
    const webs = second.fleet.all().filter(({ set, process }) => set === name && process !== worker);
    assert.equal(webs.length, 1, `${what}: ${name}`);
  }
  for (const { set } of second.fleet.all()) assert.ok(record.sets.has(set), `${what}: ${set} is left`);
  const condemned = [...record.sets.values()].flatMap((set) => [...set.condemned.keys()]);
  assert.deepEqual(condemned, [], `${what}: nothing is left to end`);
  await second.stop();
  return points;
}

for (const operation of operations) {
  test(`a daemon killed at any append or effect of a ${operation} with workers: one works, and never two longer than the drain`, async (t) => {
    let at = 1;
    for (; (await killAt(operation, at, "before")) >= at; at += 1) await killAt(operation, at, "after");
    assert.ok(at > 10, `${at} points`);
    t.diagnostic(`${operation}: killed before and after each of ${at - 1} appends and effects`);
  });
}
