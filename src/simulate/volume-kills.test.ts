import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { contentDigest } from "../model/content.ts";
import { startMortal, type Moment } from "./mortal.ts";
import { asked, done, live, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const operations = ["deploy", "deploy that fails", "rollback"] as const;
type Operation = (typeof operations)[number];

/** An app with a volume that only one instance may have, snapshots of it, and one beside it that is shared. */
function wanted(text: string): DeployRequest {
  const plain = request(text, { instances: 1, watchMs: 2_000 });
  const volumes = {
    data: { path: "/data", sharing: "exclusive", snapshot: true },
    files: { path: "/files", sharing: "shared", snapshot: true },
  } as const;
  return { ...plain, settings: { ...plain.settings, volumes } };
}

async function prepared(operation: Operation): Promise<World> {
  const world = createWorld({ trusting: true });
  const controller = await world.startController();
  await done(world, deploy(controller, wanted("one")));
  await world.clock.advance(5_000);
  if (operation === "rollback") await done(world, deploy(controller, wanted("two")));
  await world.clock.advance(5_000);
  await controller.stop();
  const { artifact, settings } = wanted("two");
  const two = contentDigest({ artifact, config: {}, secrets: {}, settings });
  if (operation === "deploy that fails") world.machine.behave({ startMs: 50, readyMs: 500, exitMs: 200 }, two);
  else world.machine.behave({ startMs: 50, readyMs: 100 });
  return world;
}

/** @returns how many appends and effects the operation took; fewer than `at`: nobody died */
async function killAt(operation: Operation, at: number, moment: Moment): Promise<number> {
  const world = await prepared(operation);
  const before = [...world.journal.read()].length;
  const { controller: first, points } = await startMortal(world, at, moment);
  const work = operation === "rollback" ? rollback(first, asked) : deploy(first, wanted("two"));
  work.catch(() => {});
  await world.clock.advance(4_000);
  void first.stop();
  const second = await world.startController();
  await world.clock.advance(40_000);

  const what = `${operation} killed ${moment} append or effect ${at}`;
  const accepted = [...world.journal.read()].slice(before).some(({ data }) => data.kind === "release.created");
  const came = accepted && operation !== "deploy that fails";
  const expected = operation === "rollback" ? (came ? 3 : 2) : came ? 2 : 1;
  const record = recordOf(second);
  assert.equal(live(second), expected, what);
  assert.equal(record.active, null, what);
  assert.equal(states(second).at(-1)?.[2], accepted && !came ? "aborted" : "proven", what);
  const running = second.fleet.all().map(({ set, phase }) => [set, phase]);
  assert.deepEqual(running, [[record.live?.set, "running"]], what);
  assert.deepEqual(world.machine.trespassers, [], what);
  assert.deepEqual(
    (await world.router.observe()).rules.map(({ stable, hold }) => [stable, hold]),
    [[record.live?.set, undefined]],
    what,
  );
  assert.ok("end" in world.router.request("shop", "/"), what);
  const snapshots = (await world.volumes.list()).map(({ snapshots: all }) => all.map(({ name }) => name));
  const made = operation === "rollback" || came ? ["before-v2"] : [];
  if (came || operation === "rollback") assert.deepEqual(snapshots, [made, made], what);
  await second.stop();
  return points();
}

for (const operation of operations) {
  test(`a daemon killed at any append or effect of a stop-first ${operation}: one instance has the volume, ever`, async (t) => {
    let at = 1;
    for (; (await killAt(operation, at, "before")) >= at; at += 1) await killAt(operation, at, "after");
    assert.ok(at > 12, `${at} points`);
    t.diagnostic(`${operation}: killed before and after each of ${at - 1} appends and effects`);
  });
}
