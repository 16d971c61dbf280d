import assert from "node:assert/strict";
import test from "node:test";
import { changeConfig } from "../controller/config.ts";
import type { Controller } from "../controller/controller.ts";
import { isSettled } from "../rollout/settled.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { runCommand } from "../controller/run-command.ts";
import { scale } from "../controller/scale.ts";
import { revokeSecret, setSecret } from "../controller/secrets.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { defaultRunSettings } from "../model/content.ts";
import { parseProcessName } from "../model/names.ts";
import { parseSecretName } from "../model/secret.ts";
import { app, asked, done, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const worker = parseProcessName("worker");
const name = parseSecretName("A");

/** Numbers below a bound, the same ones for the same seed. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
}

/** A deploy of a whole app: web, worker, tests, release command, checks, a secret, and in half of all a volume for one. */
function whole(roll: (below: number) => number): DeployRequest {
  const text = `code ${roll(4)}`;
  const volumes = { data: { path: "/data", sharing: "exclusive", snapshot: roll(2) === 0 } } as const;
  const hasVolume = roll(2) === 0;
  const resources = defaultRunSettings.resources;
  return {
    ...request(text, {
      instances: hasVolume ? 1 : 1 + roll(2),
      deadlineMs: 60_000,
      watchMs: 20_000,
      ...(roll(2) === 0 && { checks: [{ kind: "run", run: ["check"], deadlineMs: 5_000 }] }),
    }),
    settings: {
      ...defaultRunSettings,
      processes: { worker: { command: ["worker"], resources, drainMs: 2_000 } },
      ...(roll(2) === 0 && { release: { run: ["release"], reversible: roll(2) === 0, deadlineMs: 5_000 } }),
      ...(hasVolume && { volumes }),
    },
    ...(roll(2) === 0 && { tests: [{ run: ["test"], deadlineMs: 5_000, env: {} }] }),
    secrets: [{ name, variable: false }],
  };
}

async function story(seed: number): Promise<void> {
  const world = createWorld({ trusting: true });
  const roll = dice(seed);
  let boots = 0;
  let controller = await world.startController(undefined, "0");
  const give = (value: string, rotate: boolean) =>
    setSecret(controller, { ...asked, name, value: Buffer.from(value).toString("base64"), rotate });
  await done(world, give("first", false));
  const acts: readonly ((move: number) => Promise<unknown> | void)[] = [
    () => deploy(controller, whole(roll)),
    () => deploy(controller, whole(roll)),
    () => deploy(controller, whole(roll)),
    () => rollback(controller, asked),
    () => rollback(controller, { ...asked, to: 1 + roll(recordOf(controller).lastRelease + 1) }),
    (move) => changeConfig(controller, { ...asked, set: { LEVEL: `${move}` } }),
    (move) => give(`value ${move}`, true),
    () => revokeSecret(controller, { ...asked, name }),
    () => scale(controller, { ...asked, instances: 1 + roll(2), processes: { [worker]: roll(3) } }),
    (move) => void runCommand(controller, { ...asked, command: ["run"], request: `r-${move}`, seen: 0 }),
    () => (roll(4) === 0 ? down(controller, { who: "ada", why: "", app }) : undefined),
    () => {
      for (const one of controller.fleet.all()) if (roll(2) === 0) world.machine.exit(one.name, 1);
    },
    () => restart(false),
    () => (roll(3) === 0 ? restart(true) : restart(false)),
  ];
  async function restart(powerCut: boolean): Promise<void> {
    const stopped = controller.stop();
    if (powerCut) {
      world.cutPower();
      boots += 1;
    }
    await world.clock.advance(roll(1_000));
    if (powerCut) await stopped;
    controller = await world.startController(undefined, String(boots));
  }
  for (let move = 0; move < 25; move += 1) {
    for (const what of ["test", "release", "check"])
      world.machine.behaveTask(
        what,
        [{ exitMs: roll(3_000) }, { exitMs: null }, { exitMs: roll(500), code: 1 }][[0, 0, 0, 0, 1, 2][roll(6)] ?? 0] ??
          {},
      );
    world.machine.behaveTask("run", { exitMs: roll(10_000) });
    world.machine.behave(
      [{ readyMs: roll(2_000) }, { startMs: roll(300) }, { exitMs: roll(3_000) }, { readyMs: null }][
        [0, 0, 0, 1, 1, 2, 3][roll(7)] ?? 0
      ] ?? {},
    );
    const act = acts[roll(acts.length)];
    const work = (async () => act?.(move))();
    if (act === acts.at(-1) || act === acts.at(-2)) await work;
    else work.catch(() => {});
    await world.clock.advance(roll(8) === 0 ? 30_000 : roll(3_000));
    assert.deepEqual(world.machine.trespassers, [], `seed ${seed}`);
  }
  for (const what of ["test", "release", "check"]) world.machine.behaveTask(what, { exitMs: 100, code: 0 });
  world.machine.behave({});
  await world.clock.advance(400_000);
  await assertAtRest(world, controller, `seed ${seed}: ${JSON.stringify(states(controller))}`);
  await controller.stop();
}

/** Nothing is on its way, nothing is left over, and what is live is whole. */
async function assertAtRest(world: World, controller: Controller, what: string): Promise<void> {
  const record = recordOf(controller);
  const open = [...record.tasks.values()].filter(({ ended }) => ended === null);
  assert.deepEqual([record.active, record.switching, open], [null, null, []], what);
  assert.ok(
    record.watch === null || record.watch.held !== null || record.watch.warned,
    `${what} ${JSON.stringify(record.watch)}`,
  );
  assert.deepEqual(
    [...record.sets.values()].filter(({ role }) => role === "next" || role === "ending"),
    [],
    what,
  );
  assert.ok(isSettled(record, controller.fleet.all()), what);
  const seen = await world.machine.runtime().observe();
  assert.deepEqual(
    seen.filter(({ set }) => !record.sets.has(set)).map((one) => one.name),
    [],
    what,
  );
  const { rules } = await world.router.observe();
  assert.deepEqual(
    rules.map(({ stable, hold }) => [stable, hold]),
    record.live === null ? [] : [[record.live.set, undefined]],
    what,
  );
}

test("after anything that may happen in any phase, all comes to rest: nothing hangs, nothing is left, what is live is whole", async () => {
  for (let seed = 1; seed <= 20; seed += 1) await story(seed);
});
