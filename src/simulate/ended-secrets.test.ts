import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import type { Controller } from "../controller/controller.ts";
import { runCommand } from "../controller/run-command.ts";
import { revokeSecret, setSecret } from "../controller/secrets.ts";
import { parseSecretName } from "../model/secret.ts";
import { asked, done, fails, live, recordOf, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const name = parseSecretName("A");
const set = (controller: Controller, value: string, rotate = false) =>
  setSecret(controller, { ...asked, name, value: Buffer.from(value).toString("base64"), rotate });
const withSecret = (text: string) => ({ ...request(text), secrets: [{ name, variable: false }] });
const seen = (controller: Controller) => recordOf(controller).releases.get(live(controller) ?? 0)?.content.secrets;

/** A world in which v1 is live with the first version of a secret. */
async function oneLive(): Promise<{ world: World; controller: Controller }> {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, set(controller, "first-canary"));
  await done(world, deploy(controller, withSecret("one")));
  await world.clock.advance(61_000);
  return { world, controller };
}

test("revoke waits for what is on its way with another version, and replaces what is live if that fails", async () => {
  for (const fate of ["fails", "comes"]) {
    const { world, controller } = await oneLive();
    world.machine.behave({ readyMs: fate === "fails" ? null : 10_000 });
    const rotation = set(controller, "second-canary", true);
    rotation.catch(() => {});
    await world.clock.advance(1_000);
    const revocation = revokeSecret(controller, { ...asked, name, version: 1 });
    await world.clock.advance(5_000);
    assert.deepEqual([live(controller), recordOf(controller).active], [1, 2]);
    // What was started stays as it is.
    world.machine.behave({});
    if (fate === "fails") await fails(world, rotation, "ROLLOUT_UNHEALTHY");
    const { outcome } = await done(world, revocation);
    assert.equal(outcome?.release.number, fate === "fails" ? 3 : undefined);
    assert.deepEqual(seen(controller), { A: 2 });
    await controller.stop();
  }
});

test("a command of an earlier release gets the version that took the place of one that has ended", async () => {
  const { world, controller } = await oneLive();
  await done(world, set(controller, "second-canary", true));
  await done(world, revokeSecret(controller, { ...asked, name, version: 1 }));
  const { task } = runCommand(controller, { ...asked, command: ["env"], release: 1, request: "r1", seen: 0 });
  await world.clock.advance(5_000);
  assert.deepEqual(task.ended, { how: "exited", code: 0, reason: null });
  await controller.stop();
});

test("what a command wrote is recorded without a version that ended while it ran, and the value goes after it", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("env", { exitMs: 30_000, output: ["A=first-canary"] });
  const { task } = runCommand(controller, { ...asked, command: ["env"], request: "r1", seen: 0 });
  await world.clock.advance(1_000);
  await done(world, set(controller, "second-canary", true));
  await done(world, revokeSecret(controller, { ...asked, name, version: 1 }));
  await world.clock.advance(60_000);
  assert.equal(task.ended?.how, "exited");
  assert.ok(!JSON.stringify([...world.journal.read()]).includes("canary"));
  assert.deepEqual(
    (await controller.ports.secrets.list()).map(({ version }) => version),
    [2],
  );
  await controller.stop();
});
