import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import { splitInstanceName, type InstanceName } from "../model/names.ts";
import { wantedInstances } from "../model/processes.ts";
import { asked, recordOf } from "./testing.ts";
import { createWorld, type World } from "./world.ts";
import { drainMs, workRequest, worker, workersNow } from "./workers.ts";

type Act =
  | { readonly kind: "deploy"; readonly text: string }
  | { readonly kind: "rollback" }
  | { readonly kind: "scale"; readonly count: number }
  | { readonly kind: "crash"; readonly index: number }
  | { readonly kind: "orphan"; readonly index: number }
  | { readonly kind: "restart"; readonly awayMs: number }
  | { readonly kind: "reboot" };

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("deploy" as const), text: fc.constantFrom("a", "b", "c") }) },
  { weight: 3, arbitrary: fc.constant({ kind: "rollback" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("scale" as const), count: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), index: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("orphan" as const), index: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const), awayMs: fc.nat(2_000) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reboot" as const }) },
);
/** An act, and how long to wait after it, in ms. */
const story = fc.array(fc.tuple(act, fc.oneof(fc.nat(300), fc.nat(25_000), fc.constant(65_000))), { maxLength: 14 });

const stepMs = 250;
/** What a daemon that was away, or ended, adds to the drain of the workers that it should have ended, in ms. */
const slackMs = 3_000;

/** Lets time pass; a worker of what is not live may run for its drain after the moment that it was live. */
async function watchOver(world: World, controller: Controller, ms: number, idleSince: Map<string, number>) {
  for (let passed = 0; passed < ms; passed += stepMs) {
    await world.clock.advance(Math.min(stepMs, ms - passed));
    const { live } = recordOf(controller);
    const now = world.clock.now();
    const running = await workersNow(world);
    for (const name of running) {
      if (splitInstanceName(name)?.set === live?.set) idleSince.delete(name);
      else idleSince.set(name, idleSince.get(name) ?? now);
      const idleMs = now - (idleSince.get(name) ?? now);
      assert.ok(idleMs <= drainMs + slackMs, `${name} runs on ${idleMs} ms after another went live`);
    }
  }
}

async function play(acts: readonly (readonly [Act, number])[], endsOnTerm: boolean): Promise<void> {
  const world = createWorld();
  world.machine.behave({ endsOnTerm }, undefined, worker);
  let controller = await world.startController(undefined, "0");
  let boots = 0;
  void deploy(controller, workRequest("a")).catch(() => {});
  await world.clock.advance(100);
  const idleSince = new Map<string, number>();
  for (const [one, waitMs] of acts) {
    const names = await workersNow(world);
    const victim = (index: number) => names[index % Math.max(1, names.length)] as InstanceName | undefined;
    switch (one.kind) {
      case "deploy":
        void deploy(controller, workRequest(one.text)).catch(() => {});
        break;
      case "rollback":
        void rollback(controller, asked).catch(() => {});
        break;
      case "scale":
        void scale(controller, { ...asked, processes: { worker: one.count } }).catch(() => {});
        break;
      case "crash":
      case "orphan": {
        const name = victim(one.index);
        if (name !== undefined && one.kind === "crash") world.machine.exit(name, 1);
        else if (name !== undefined) world.machine.orphan(name);
        break;
      }
      case "restart":
      case "reboot": {
        const stopped = controller.stop();
        if (one.kind === "reboot") {
          world.cutPower();
          boots += 1;
        }
        await world.clock.advance(one.kind === "restart" ? one.awayMs : 1_000);
        await stopped;
        controller = await world.startController(undefined, String(boots));
      }
    }
    await watchOver(world, controller, waitMs, idleSince);
  }
  // Crashes of the end may still delay the next start, by a minute at the most.
  await watchOver(world, controller, 90_000 + drainMs, idleSince);
  const record = recordOf(controller);
  const wanted = wantedInstances(record.settings, worker);
  const sets = (await workersNow(world)).map((name) => splitInstanceName(name)?.set);
  assert.deepEqual(sets, Array(wanted).fill(record.live?.set));
  assert.deepEqual(
    [...record.sets.values()].flatMap((set) => [...set.condemned.keys()]),
    [],
  );
  await controller.stop();
}

test("whatever happens, in the end as many workers as wanted run, of what is live alone, and others only for their drain", async () => {
  await fc.assert(fc.asyncProperty(story, fc.boolean(), play), { numRuns: 25, seed: 20_261_121, endOnFailure: true });
});
