import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { snapshotVolume } from "../controller/volumes.ts";
import type { VolumeMount } from "../model/content.ts";
import { asked, done, fails, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const mount: VolumeMount = { path: "/var/lib/data", sharing: "exclusive", snapshot: false };

function wanting(text: string) {
  const plain = request(text, { instances: 1 });
  return { ...plain, settings: { ...plain.settings, volumes: { data: mount } } };
}

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
