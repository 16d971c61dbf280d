import assert from "node:assert/strict";
import test from "node:test";
import { changeConfig } from "../controller/config.ts";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { checkKept, hideSecrets } from "../controller/secret-values.ts";
import { removeSecret, revokeSecret, secretRows, setSecret } from "../controller/secrets.ts";
import { environmentStatus } from "../controller/status.ts";
import type { WantedSecret } from "../model/api/releases.ts";
import { parseSecretName } from "../model/secret.ts";
import { asked, done, fails, live, names, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const A = parseSecretName("A");
const wanted = (name = "A", value?: string): WantedSecret => ({
  name: parseSecretName(name),
  variable: false,
  ...(value === undefined ? {} : { value: base64(value) }),
});
const withSecrets = (text: string, ...secrets: readonly WantedSecret[]) => ({ ...request(text), secrets });
const given = (name: string, value: string, rotate = false) => ({
  ...asked,
  name: parseSecretName(name),
  value: base64(value),
  rotate,
});
const set = (world: World, controller: Controller, name: string, value: string, rotate = false) =>
  done(world, setSecret(controller, given(name, value, rotate)));
const seen = (controller: Controller) => recordOf(controller).releases.get(live(controller) ?? 0)?.content.secrets;
const revoke = (version?: number) => ({ ...asked, name: A, ...(version === undefined ? {} : { version }) });
const proven = (world: World) => world.clock.advance(61_000);

test("a deploy takes the current version of each secret it lists; rotate makes one release, and a rollback brings the version back", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  const first = await done(world, deploy(controller, withSecrets("code", wanted())));
  assert.deepEqual(first.release.content.secrets, { A: 1 });
  await proven(world);
  const rotated = await set(world, controller, "A", "two", true);
  assert.deepEqual([rotated.version, rotated.changed, rotated.outcome?.release.number], [2, true, 2]);
  assert.deepEqual(seen(controller), { A: 2 });
  assert.equal(recordOf(controller).releases.get(2)?.content.artifact, request("code").artifact);
  await proven(world);
  // The same value again is no new version, and no release.
  const again = await set(world, controller, "A", "two", true);
  assert.deepEqual([again.version, again.changed, again.outcome], [2, false, null]);
  const back = await done(world, rollback(controller, asked));
  assert.deepEqual([back.release.of, seen(controller)], [1, { A: 1 }]);
  assert.equal((await controller.ports.secrets.read({ ...asked, name: A, version: 1 })).toString(), "one");
  await controller.stop();
});

test("a deploy of a secret without a value, or of one that cannot be read, is refused before anything is done", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "DATABASE_URL", "one");
  const before = recordOf(controller).lastRelease;
  const error = await fails(
    world,
    deploy(controller, withSecrets("code", wanted("DATABSE_URL"), wanted("OTHER"))),
    "SECRET_MISSING",
  );
  assert.match(error.message, /DATABSE_URL, OTHER have no values/);
  assert.match(error.hint, /did you mean DATABASE_URL\?/);
  // Asked beforehand it is the same; a value that the deploy brings is not looked for.
  const asks = (...secrets: readonly WantedSecret[]) => checkKept(controller, asked, secrets);
  await fails(world, asks(wanted("DATABSE_URL")), "SECRET_MISSING");
  await done(world, asks(wanted("DATABASE_URL"), wanted("OTHER", "given")));
  world.secrets.damage({ ...asked, name: parseSecretName("DATABASE_URL"), version: 1 });
  await fails(world, asks(wanted("DATABASE_URL")), "SECRET_UNREADABLE");
  await fails(world, deploy(controller, withSecrets("code", wanted("DATABASE_URL"))), "SECRET_UNREADABLE");
  assert.equal(recordOf(controller).lastRelease, before);
  // A new value mends it.
  await set(world, controller, "DATABASE_URL", "two", true);
  await done(world, deploy(controller, withSecrets("code", wanted("DATABASE_URL"))));
  assert.deepEqual(seen(controller), { DATABASE_URL: 2 });
  await controller.stop();
});

test("a value that a provider gives anew becomes a version with the release, the same one none; rollback brings it back", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, withSecrets("code", wanted("A", "one"))));
  await proven(world);
  assert.equal((await done(world, deploy(controller, withSecrets("code", wanted("A", "one"))))).created, false);
  await done(world, deploy(controller, withSecrets("code", wanted("A", "two"))));
  assert.deepEqual(seen(controller), { A: 2 });
  await proven(world);
  await done(world, rollback(controller, asked));
  assert.deepEqual(seen(controller), { A: 1 });
  await controller.stop();
});

test("revoke replaces what names the version: live by a release, warm ones by new instances, and a rollback says so", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const record = () => recordOf(controller);
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("old code", wanted())));
  await proven(world);
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  await fails(world, revokeSecret(controller, revoke(1)), "SECRET_NEEDED");
  await set(world, controller, "A", "two", true);
  await proven(world);
  // v3 (code, v2) is live, v1 (old code) and v2 (code) are warm with v1.
  const before = names(controller, "shop-production-v1");
  assert.equal(before.length, 2);
  const done1 = await done(world, revokeSecret(controller, revoke(1)));
  assert.deepEqual([done1.changed, done1.outcome, live(controller)], [true, null, 3]);
  await world.clock.advance(2_000);
  const warm = record().sets.get("shop-production-v1" as never);
  assert.deepEqual([warm?.role, warm?.content.secrets], ["warm", { A: 2 }]);
  const after = names(controller, "shop-production-v1");
  assert.deepEqual([after.length, after.filter((name) => before.includes(name))], [2, []]);
  // v2 with the secret of now is what is live.
  assert.equal(record().sets.has("shop-production-v2" as never), false);
  assert.deepEqual(await world.secrets.open().list(), [
    { app: asked.app, environment: asked.environment, name: A, version: 2 },
  ]);
  const status = environmentStatus(record(), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://x",
  });
  assert.deepEqual([status.rollback.target, status.rollback.ready], [1, true]);
  assert.match(status.warnings.join("\n"), /a rollback to v1 comes with A v2 in place of v1, which was revoked/);
  const back = await done(world, rollback(controller, asked));
  assert.deepEqual([back.release.of, back.release.warm, seen(controller)], [1, true, { A: 2 }]);
  await controller.stop();
});

test("revoke of what is live puts it live with the current version, also asked again after a failed rotation", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  world.machine.behave({ readyMs: null, exitMs: 10 });
  await fails(world, setSecret(controller, given("A", "bad", true)), "ROLLOUT_UNHEALTHY");
  assert.deepEqual(seen(controller), { A: 1 });
  world.machine.behave({});
  const outcome = await done(world, revokeSecret(controller, revoke(1)));
  assert.deepEqual([outcome.version, outcome.outcome?.release.number, seen(controller)], [2, 3, { A: 2 }]);
  await world.clock.advance(61_000);
  assert.equal(recordOf(controller).sets.size, 1);
  assert.deepEqual(
    (await controller.ports.secrets.list()).map(({ version }) => version),
    [2],
  );
  // Nothing is left to go back to: it would be what is live.
  await fails(world, rollback(controller, asked), "NO_ROLLBACK_TARGET");
  await controller.stop();
});

test("remove names the releases that need the secret, and refuses what runs whatever is said", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const remove = (yes: boolean) => removeSecret(controller, { ...asked, name: A, yes });
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  assert.match((await fails(world, remove(true), "SECRET_NEEDED")).message, /v1 needs it/);
  await done(world, deploy(controller, withSecrets("code without")));
  // While it is watched it may be taken back.
  assert.match((await fails(world, remove(true), "SECRET_NEEDED")).message, /v1 needs it/);
  await proven(world);
  assert.match((await fails(world, remove(false), "SECRET_NEEDED")).message, /v1 needs it for a rollback/);
  await done(world, remove(true));
  await world.clock.advance(5_000);
  assert.deepEqual(await controller.ports.secrets.list(), []);
  assert.deepEqual(secretRows(recordOf(controller)), []);
  assert.match((await fails(world, rollback(controller, asked), "SECRET_MISSING")).hint, /bronze secret set A/);
  assert.match((await fails(world, remove(true), "SECRET_MISSING")).message, /secret A has no value/);
  // A new value is another version, and takes the place of what was removed.
  await set(world, controller, "A", "new");
  await done(world, rollback(controller, asked));
  assert.deepEqual(seen(controller), { A: 2 });
  await controller.stop();
});

test("a rotation during a rollout takes its content over; the newer of two deploys at once has the newest secret", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  world.machine.behave({ readyMs: 5_000 });
  const slow = deploy(controller, withSecrets("new code", wanted()));
  slow.catch(() => {});
  await world.clock.advance(100);
  const rotated = await set(world, controller, "A", "two", true);
  assert.equal(rotated.outcome?.release.content.artifact, request("new code").artifact);
  assert.deepEqual(seen(controller), { A: 2 });
  await fails(world, slow, "ROLLOUT_SUPERSEDED");
  assert.deepEqual(
    states(controller).map(([number, , state]) => [number, state]),
    [
      [1, "proven"],
      [2, "aborted"],
      [3, "watching"],
    ],
  );
  await controller.stop();
});

test("config and scale leave secrets as they are, and what has ended does not come back with them", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  await done(world, changeConfig(controller, { ...asked, set: { LEVEL: "debug" } }));
  assert.deepEqual(seen(controller), { A: 1 });
  await controller.stop();
});

test("locked secrets refuse deploys at once and start no instance; unlocked, what waited goes on", async () => {
  const world = createWorld();
  let controller = await world.startController();
  await set(world, controller, "A", "one");
  await controller.ports.secrets.protect("horse");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  await controller.stop();
  controller = await world.startController();
  await fails(world, deploy(controller, withSecrets("new code", wanted())), "SECRETS_LOCKED");
  await fails(world, setSecret(controller, given("A", "two", true)), "SECRETS_LOCKED");
  assert.equal(live(controller), 1);
  // What ends cannot be replaced while they are locked.
  const [first] = names(controller, "shop-production-v1");
  assert.ok(first);
  world.machine.exit(first, 1);
  await world.clock.advance(30_000);
  assert.equal(names(controller, "shop-production-v1").length, 1);
  await controller.ports.secrets.unlock("horse");
  await world.clock.advance(30_000);
  assert.equal(names(controller, "shop-production-v1").length, 2);
  await controller.stop();
});

test("a value without a record, as a killed daemon leaves it, is gone at the next start; the ledger holds no value", async () => {
  const world = createWorld();
  let controller = await world.startController();
  await set(world, controller, "A", "hunter2-one");
  await controller.ports.secrets.write({ ...asked, name: A, version: 2 }, Buffer.from("hunter2-two"));
  await controller.stop();
  controller = await world.startController();
  assert.deepEqual(
    (await controller.ports.secrets.list()).map(({ version }) => version),
    [1],
  );
  assert.ok(!JSON.stringify([...world.journal.read()]).includes("hunter2"));
  assert.ok(!JSON.stringify([...world.journal.read()]).includes(base64("hunter2")));
  await controller.stop();
});

test("what an instance wrote is told without the values of its secrets; where they cannot be read it is withheld", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "hunter2-one");
  world.machine.behave({ readyMs: null });
  const failing = deploy(controller, withSecrets("code", wanted()));
  failing.catch(() => {});
  await world.clock.advance(1_000);
  for (const { name } of controller.fleet.all())
    world.machine.know(name, { logTail: ["cannot reach postgres://u:hunter2-one@db", `or ${base64("hunter2-one")}`] });
  const error = await fails(world, failing, "ROLLOUT_UNHEALTHY");
  const told = JSON.stringify([error.toJSON(), ...world.journal.read()]);
  assert.match(told, /\[redacted\]/);
  assert.ok(!told.includes("hunter2") && !told.includes(base64("hunter2-one")));
  const { content } = recordOf(controller).releases.get(1) ?? assert.fail();
  world.secrets.damage({ ...asked, name: A, version: 1 });
  const hide = await hideSecrets(controller.ports, asked, content);
  assert.match(hide(["hunter2-one", "more"]).join("\n"), /^\[withheld: secret A cannot be read.*\]$/);
  assert.deepEqual(hide([]), []);
  await controller.stop();
});

test("changes that come while secrets are read begin from each other, and none is lost", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  const works = [
    changeConfig(controller, { ...asked, set: { X: "1" } }),
    deploy(controller, withSecrets("other", wanted())),
    setSecret(controller, given("A", "two", true)),
    changeConfig(controller, { ...asked, set: { Y: "2" } }),
  ];
  // All but the last are superseded, or are what the last one is about.
  await done(world, Promise.allSettled(works));
  await proven(world);
  const content = recordOf(controller).releases.get(live(controller) ?? 0)?.content;
  assert.deepEqual(content?.config, { X: "1", Y: "2" });
  assert.deepEqual([content?.secrets, content?.artifact], [{ A: 2 }, request("other").artifact]);
  await controller.stop();
});

test("rotating a secret lets nothing through that has tests to pass yet", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  world.machine.behaveTask("unit", { code: 1 });
  const tests = [{ run: ["unit"], deadlineMs: 60_000, env: {} }];
  const coming = deploy(controller, { ...withSecrets("bad", wanted()), tests });
  coming.catch(() => {});
  await world.clock.advance(1);
  await fails(world, setSecret(controller, given("A", "two", true)), "TEST_FAILED");
  assert.equal(live(controller), 1);
  await controller.stop();
});

test("a variable that is config and a secret at once is refused, whichever came first", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  const variable = [{ ...wanted(), variable: true }];
  await done(world, deploy(controller, { ...request("code"), secrets: variable }));
  const error = await fails(world, changeConfig(controller, { ...asked, set: { A: "x" } }), "ARGUMENT_INVALID");
  assert.match(error.message, /A is config and a secret's variable at once/);
  await fails(
    world,
    deploy(controller, { ...request("next"), secrets: variable, config: { A: "y" } }),
    "ARGUMENT_INVALID",
  );
  assert.equal(recordOf(controller).lastRelease, 1);
  await controller.stop();
});

test("a secret that is removed while an instance that stands by restarts: nothing is started without it, and nothing is left", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await set(world, controller, "A", "one");
  await done(world, deploy(controller, withSecrets("code", wanted())));
  await proven(world);
  await done(world, deploy(controller, withSecrets("code without")));
  await proven(world);
  world.machine.behave({ startMs: 500 });
  for (const name of names(controller, "shop-production-v1")) world.machine.exit(name, 1);
  await world.clock.advance(100);
  await done(world, removeSecret(controller, { ...asked, name: A, yes: true }));
  await world.clock.advance(60_000);
  assert.deepEqual([...recordOf(controller).sets.keys()], ["shop-production-v2"]);
  assert.deepEqual(names(controller, "shop-production-v1"), []);
  assert.deepEqual(await controller.ports.secrets.list(), []);
  assert.equal(live(controller), 2);
  await controller.stop();
});
