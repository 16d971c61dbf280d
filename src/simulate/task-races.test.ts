import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import type { ControllerPorts } from "../controller/ports.ts";
import { defaultRunSettings, type ReleaseTask } from "../model/content.ts";
import type { Check } from "../model/tasks.ts";
import { mortal } from "./mortal.ts";
import { app, done, environment, fails, live, request } from "./testing.ts";
import { instanceName, releaseProcess, setName } from "../model/names.ts";
import { createWorld, type World } from "./world.ts";

const migrate: ReleaseTask = { run: ["migrate"], reversible: true, deadlineMs: 60_000 };
const smoke: Check = { kind: "run", run: ["smoke"], deadlineMs: 60_000 };

const migrating = (text: string) => ({
  ...request(text),
  settings: { ...defaultRunSettings, release: migrate },
});

/** A machine that needs a while before the first task has a process, as for the images of a new artifact. */
function slowFirstTask(world: World, ms: number): (ports: ControllerPorts) => ControllerPorts {
  let leftMs = ms;
  return (ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      async startTask(set, task, signal) {
        const waitMs = leftMs;
        leftMs = 0;
        if (waitMs > 0) await new Promise<void>((resolve) => void world.clock.after(waitMs, resolve));
        return ports.runtime.startTask(set, task, signal);
      },
    },
  });
}

/** Answers to probes take a while, so that a daemon that starts does not know yet who is well. */
const slowProbes =
  (world: World, ms: number) =>
  (ports: ControllerPorts): ControllerPorts => ({
    ...ports,
    prober: {
      async probe(target, timeoutMs) {
        await new Promise<void>((resolve) => void world.clock.after(ms, resolve));
        return ports.prober.probe(target, timeoutMs);
      },
    },
  });

test("a release command that was being started as its rollout was superseded never runs beside the next one", async () => {
  const world = createWorld();
  const controller = await world.startController(slowFirstTask(world, 2_000), "boot");
  await done(world, deploy(controller, request("one")));
  world.machine.behaveTask("migrate", { exitMs: 20_000 });
  const first = deploy(controller, migrating("two"));
  first.catch(() => {});
  await world.clock.advance(500);
  const second = deploy(controller, migrating("three"));
  let most = 0;
  const look = async (): Promise<void> => {
    const seen = await world.machine.runtime().observe();
    most = Math.max(most, seen.filter(({ process, phase }) => process === "release" && phase === "running").length);
  };
  for (let i = 0; i < 400; i += 1) {
    await world.clock.advance(20);
    await look();
  }
  assert.equal(most, 1);
  await fails(world, first, "ROLLOUT_SUPERSEDED");
  assert.equal((await done(world, second)).release.number, 3);
  await controller.stop();
});

test("a check that was recorded and not started as its daemon was killed finds the new instances all the same", async () => {
  const world = createWorld();
  let isDead = false;
  const first = await world.startController(
    (ports) =>
      mortal(ports, () => {
        const last = [...world.journal.read()].at(-1)?.data;
        const now = !isDead && last?.kind === "task.started" && last.process === "check";
        isDead ||= now;
        return now ? "before" : undefined;
      }),
    "boot",
  );
  deploy(first, { ...request("one", { checks: [smoke] }) }).catch(() => {});
  await world.clock.advance(10_000);
  assert.equal(isDead, true);
  void first.stop();
  const second = await world.startController(slowProbes(world, 50), "boot");
  await world.clock.advance(10_000);
  assert.equal(world.machine.ran.length, 1);
  assert.match(world.machine.ran[0]?.task.environment["BRONZE_PREVIEW_URL"] ?? "", /^http:/);
  assert.equal(live(second), 1);
  await second.stop();
});

test("a task that a daemon left half-made is made anew by the next one, and comes to its end", async () => {
  const world = createWorld();
  const dies = await world.startController(
    (ports) => ({
      ...ports,
      runtime: {
        ...ports.runtime,
        startTask: (_set, _task, signal) =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      },
    }),
    "boot",
  );
  await done(world, deploy(dies, request("one")));
  world.machine.behaveTask("migrate", { exitMs: 3_000 });
  deploy(dies, migrating("two")).catch(() => {});
  await world.clock.advance(500);
  await dies.stop();

  let isHalfMade = true;
  const next = await world.startController(
    (ports) => ({
      ...ports,
      runtime: {
        ...ports.runtime,
        async observe() {
          const seen = await ports.runtime.observe();
          const [like] = seen;
          const name = instanceName(setName(app, environment, 2), 1, releaseProcess);
          const half = { name, set: setName(app, environment, 2), process: releaseProcess, ordinal: 1 };
          if (!isHalfMade || like === undefined) return seen;
          return [...seen, { ...like, ...half, phase: "broken", address: null, pid: null, startedAtMs: 0 }];
        },
        startTask(set, task, signal) {
          isHalfMade = false;
          return ports.runtime.startTask(set, task, signal);
        },
      },
    }),
    "boot",
  );
  await world.clock.advance(10_000);
  assert.equal(live(next), 2);
  assert.deepEqual(
    world.machine.ran.map(({ instance }) => instance),
    [instanceName(setName(app, environment, 2), 1, releaseProcess)],
  );
  await next.stop();
});
