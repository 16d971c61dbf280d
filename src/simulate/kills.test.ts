import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import type { EnvironmentSettings } from "../model/content.ts";
import type { Check } from "../model/tasks.ts";
import { startMortal, type Moment } from "./mortal.ts";
import { asked, done, live, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const operations = ["deploy", "deploy with tasks", "warm rollback", "cold rollback"] as const;

async function prepared(operation: (typeof operations)[number]): Promise<World> {
  const world = createWorld();
  const controller = await world.startController();
  const settings = settingsOf(operation);
  await done(world, deploy(controller, request("one", settings)));
  await world.clock.advance(61_000);
  if (!isDeploy(operation)) await done(world, deploy(controller, request("two", settings)));
  await world.clock.advance(31_000);
  await controller.stop();
  return world;
}

function settingsOf(operation: (typeof operations)[number]): Partial<EnvironmentSettings> {
  return { keepWarmMs: operation === "warm rollback" ? 3_600_000 : 0, watchMs: timesOf(operation).watchMs };
}

/** Of the operation with the most points each takes less time: the watch is short. */
function timesOf(operation: (typeof operations)[number]): {
  readonly watchMs: number;
  readonly awayMs: number;
  readonly afterMs: number;
} {
  return operation === "deploy with tasks"
    ? { watchMs: 2_000, awayMs: 4_000, afterMs: 40_000 }
    : { watchMs: 60_000, awayMs: 62_000, afterMs: 95_000 };
}

const isDeploy = (operation: (typeof operations)[number]): boolean => operation.startsWith("deploy");

/** What is deployed: with tests, a release command and checks where they are to be killed in. */
function wanted(operation: (typeof operations)[number]): DeployRequest {
  const settings = { ...settingsOf(operation), withinMs: 7_000 };
  if (operation === "deploy") return request("two", settings);
  const deadlineMs = 60_000;
  const checks: readonly Check[] = [
    { kind: "run", run: ["smoke"], deadlineMs },
    { kind: "path", path: "/", status: null },
  ];
  const plain = request("two", { ...settings, checks });
  const release = { run: ["migrate"], reversible: true, deadlineMs };
  return { ...plain, settings: { ...plain.settings, release }, tests: [{ run: ["unit"], deadlineMs, env: {} }] };
}

/** @returns how many appends and effects the operation took; fewer than `at`: nobody died */
async function killAt(operation: (typeof operations)[number], at: number, moment: Moment): Promise<number> {
  const world = await prepared(operation);
  const before = [...world.journal.read()].length;
  const { controller: first, points } = await startMortal(world, at, moment);
  const work = isDeploy(operation) ? deploy(first, wanted(operation)) : rollback(first, asked);
  work.catch(() => {});
  // As long as the operation takes; a daemon that died early is away for that time.
  await world.clock.advance(timesOf(operation).awayMs);
  void first.stop();
  const second = await world.startController();
  await world.clock.advance(timesOf(operation).afterMs);

  const events = [...world.journal.read()].slice(before).map(({ data }) => data);
  const accepted = events.some((event) => event.kind === "release.created");
  const record = recordOf(second);
  const expected = isDeploy(operation) ? (accepted ? 2 : 1) : accepted ? 3 : 2;
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
  const ran = world.machine.ran.map(({ task }) => task.command[0]);
  assert.deepEqual(ran, accepted && operation === "deploy with tasks" ? ["unit", "migrate", "smoke"] : [], what);
  assert.deepEqual([record.tasks.size, second.fleet.tasks()], [0, []], `${what}: tasks`);
  await second.stop();
  return points();
}

for (const operation of operations) {
  test(`a daemon killed at any append or effect of a ${operation}: all new or all old, and nothing is left`, async (t) => {
    let at = 1;
    for (; (await killAt(operation, at, "before")) >= at; at += 1) await killAt(operation, at, "after");
    assert.ok(at > 10, `${at} points`);
    t.diagnostic(`${operation}: killed before and after each of ${at - 1} appends and effects`);
  });
}
