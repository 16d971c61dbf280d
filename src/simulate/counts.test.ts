import assert from "node:assert/strict";
import test from "node:test";
import { changeConfig } from "../controller/config.ts";
import { deploy } from "../controller/deploy.ts";
import { scale } from "../controller/scale.ts";
import { setSecret } from "../controller/secrets.ts";
import { defaultRunSettings } from "../model/content.ts";
import { parseProcessName } from "../model/names.ts";
import { parseSecretName } from "../model/secret.ts";
import { asked, digestOf, done, live, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const worker = parseProcessName("worker");
const mailer = parseProcessName("mailer");

test("a change of config or secrets leaves numbers of instances as they were scaled to", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const name = parseSecretName("A");
  const rotate = (value: string, again: boolean) =>
    done(world, setSecret(controller, { ...asked, name, value: Buffer.from(value).toString("base64"), rotate: again }));
  await rotate("one", false);
  const secrets = [{ name, variable: false }];
  await done(world, deploy(controller, { ...request("one"), secrets }));
  await done(world, deploy(controller, { ...request("two", { instances: 3 }), secrets }));
  await done(world, scale(controller, { ...asked, instances: 5 }));
  await done(world, changeConfig(controller, { ...asked, set: { LEVEL: "all" } }));
  assert.deepEqual([live(controller), recordOf(controller).settings.instances], [3, 5]);
  await rotate("two", true);
  assert.deepEqual([live(controller), recordOf(controller).settings.instances], [4, 5]);
  await controller.stop();
});

test("scale() of one process during a rollout leaves the other numbers that it brings", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const resources = defaultRunSettings.resources;
  const processes = {
    mailer: { command: ["mailer"], resources, drainMs: 1_000 },
    worker: { command: ["worker"], resources, drainMs: 1_000 },
  };
  const wanting = (text: string, counts: { readonly [name: string]: number }, instances: number) => ({
    ...request(text, { instances, processes: counts }),
    settings: { ...defaultRunSettings, processes },
  });
  await done(world, deploy(controller, wanting("one", { worker: 1, mailer: 1 }, 1)));
  world.machine.behave({ readyMs: 10_000 }, digestOf("two", { processes }));
  const next = deploy(controller, wanting("two", { worker: 1, mailer: 3 }, 2));
  await world.clock.advance(1_000);
  const scaled = scale(controller, { ...asked, processes: { [worker]: 4 } });
  await done(world, next);
  await done(world, scaled);
  const { instances, processes: counts } = recordOf(controller).settings;
  assert.deepEqual([instances, counts], [2, { [mailer]: 3, [worker]: 4 }]);
  await controller.stop();
});
