import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { removeSecret, revokeSecret, setSecret } from "../controller/secrets.ts";
import { currentVersion } from "../ledger/secrets.ts";
import { parseSecretName } from "../model/secret.ts";
import { startMortal, type Moment } from "./mortal.ts";
import { asked, done, live, recordOf, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const name = parseSecretName("A");
const other = parseSecretName("B");
const value = (text: string): string => Buffer.from(text).toString("base64");
const set = (text: string, rotate: boolean, which = name) => ({ ...asked, name: which, value: value(text), rotate });

/** What is asked for, and what must then be so whatever died meanwhile, once it is asked again. */
const operations = {
  rotate: {
    ask: (controller: Controller): Promise<unknown> => setSecret(controller, set("three", true)),
    current: 3,
  },
  revoke: {
    ask: (controller: Controller): Promise<unknown> => revokeSecret(controller, { ...asked, name }),
    current: 2,
  },
  remove: {
    // It is gone when it was removed: a second time it is not known.
    ask: (controller: Controller): Promise<unknown> =>
      removeSecret(controller, { ...asked, name: other, yes: true }).catch(() => {}),
    current: 2,
  },
} as const;

/** v1 has A v1 and B v1 and is warm, v2 has A v1 and is live, A v2 is there and nobody has it yet. */
async function prepared(): Promise<World> {
  const world = createWorld();
  const controller = await world.startController();
  const secrets = [{ name, variable: false }];
  await done(world, setSecret(controller, set("one", false)));
  await done(world, setSecret(controller, set("b", false, other)));
  await done(
    world,
    deploy(controller, { ...request("old", { watchMs: 0 }), secrets: [...secrets, { name: other, variable: false }] }),
  );
  await world.clock.advance(3_000);
  await done(world, deploy(controller, { ...request("new", { watchMs: 0 }), secrets }));
  await world.clock.advance(3_000);
  world.machine.behave({ readyMs: null, exitMs: 10 });
  await done(
    world,
    setSecret(controller, set("two", true)).catch(() => {}),
  );
  world.machine.behave({});
  await world.clock.advance(10_000);
  await controller.stop();
  return world;
}

async function killAt(operation: keyof typeof operations, at: number, moment: Moment): Promise<number> {
  const { ask, current } = operations[operation];
  const world = await prepared();
  const { controller: first, points } = await startMortal(world, at, moment);
  ask(first).catch(() => {});
  await world.clock.advance(8_000);
  void first.stop();
  const second = await world.startController();
  await done(world, ask(second));
  await world.clock.advance(15_000);

  const what = `${operation} killed ${moment} append or effect ${at}`;
  const record = recordOf(second);
  assert.equal(currentVersion(record, name), current, what);
  const content = record.releases.get(live(second) ?? 0)?.content;
  assert.deepEqual(content?.secrets, { A: operation === "remove" ? 1 : current }, what);
  // Every value that is kept is known, and every one that may be needed is kept.
  const kept = (await second.ports.secrets.list()).map((one) => `${one.name}${one.version}`);
  const usable = [...record.secrets.values()].flatMap((secret) =>
    secret.versions.filter(({ ended }) => ended === null).map(({ version }) => `${secret.name}${version}`),
  );
  assert.deepEqual(kept, usable.sort(), what);
  for (const one of record.sets.values())
    for (const [secret, version] of Object.entries(one.content.secrets))
      assert.ok(kept.includes(`${secret}${version}`), `${what}: ${one.name} has ${secret} v${version}`);
  assert.equal(second.fleet.all().filter(({ set: own }) => own === record.live?.set).length, 2, what);
  await second.stop();
  return points();
}

for (const operation of Object.keys(operations) as (keyof typeof operations)[]) {
  test(`a daemon killed at any append or effect of secret ${operation}: asked again it is so, and no value is lost or left`, async (t) => {
    let at = 1;
    for (; (await killAt(operation, at, "before")) >= at; at += 1) await killAt(operation, at, "after");
    assert.ok(at > 2, `${at} points`);
    t.diagnostic(`${operation}: killed before and after each of ${at - 1} appends and effects`);
  });
}
