import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { snapshotVolume } from "../controller/volumes.ts";
import type { ControllerPorts } from "../controller/ports.ts";
import type { VolumeMount } from "../model/content.ts";
import { instanceName, setName } from "../model/names.ts";
import type { Digest } from "../model/canonical.ts";
import { app, asked, done, fails, names, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const mount: VolumeMount = { path: "/var/lib/data", sharing: "exclusive", snapshot: false };

function wanting(text: string) {
  const plain = request(text, { instances: 1 });
  return { ...plain, settings: { ...plain.settings, volumes: { data: mount } } };
}

/** A machine that needs a while for the images of one artifact. */
function slowImages(world: World, slow: Digest, ms: number): (ports: ControllerPorts) => ControllerPorts {
  return (ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      async prepare(artifact, signal, environment) {
        if (artifact === slow) await new Promise<void>((resolve) => void world.clock.after(ms, resolve));
        return ports.runtime.prepare(artifact, signal, environment);
      },
    },
  });
}

test("what is live and ends by itself is replaced while what comes for its volume is still being prepared", async () => {
  const world = createWorld();
  const two = wanting("two");
  const controller = await world.startController(slowImages(world, two.artifact, 20_000));
  await done(world, deploy(controller, wanting("one")));
  const next = deploy(controller, two);
  await world.clock.advance(1_000);
  const set = setName(app, asked.environment, 1);
  world.machine.exit(instanceName(set, 1), 1);
  await world.clock.advance(1_000);
  assert.deepEqual(names(controller, set), [instanceName(set, 2)]);
  assert.equal((await done(world, next)).release.number, 2);
  await world.clock.advance(1_000);
  assert.deepEqual([names(controller, set), names(controller, "shop-production-v2").length], [[], 1]);
  await controller.stop();
});

test("a person's snapshot never passes for one that is to be made before a release", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, wanting("one")));
  const snapshot = (name: string) => snapshotVolume(controller, { ...asked, volume: "data", snapshot: name }, () => {});
  await fails(world, snapshot("before-v2"), "ARGUMENT_INVALID");
  assert.equal((await done(world, snapshot("before-v2-by-hand"))).snapshot, "before-v2-by-hand");
  await controller.stop();
});

test("a snapshot too many that cannot be removed does not end the rollout it was made for", async () => {
  const world = createWorld();
  const controller = await world.startController((ports) => ({
    ...ports,
    volumes: {
      ...ports.volumes,
      remove: async () => {
        throw new Error("busy");
      },
    },
  }));
  const asking = (text: string) => {
    const plain = wanting(text);
    return { ...plain, settings: { ...plain.settings, volumes: { data: { ...mount, snapshot: true } } } };
  };
  for (let i = 1; i <= 13; i += 1) await done(world, deploy(controller, asking(`code ${i}`)));
  const [volume] = await world.volumes.list();
  assert.equal(volume?.snapshots.length, 12);
  await controller.stop();
});
