import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { changeConfig } from "../controller/config.ts";
import { planDeploy } from "../controller/plan-deploy.ts";
import { revoke } from "../controller/revoke.ts";
import { environmentStatus } from "../controller/status.ts";
import { sha256 } from "../model/canonical.ts";
import { asked, done, fails, live, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const unsigned = "it has no statement of the kind X";

test("by default what was built here is refused without its evidence, and what was imported is let through with a warning", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  world.verifier.say(sha256("two"), "built", unsigned);
  const error = await fails(world, deploy(controller, request("two")), "ARTIFACT_UNVERIFIED");
  assert.equal(error.exitStatus, 7);
  assert.match(error.message, /it has no statement of the kind X/);
  assert.match(error.hint, /`bronze build` makes it and its evidence anew.*v1 serves on/);
  const refused = recordOf(controller).releases.get(2);
  assert.deepEqual([refused?.rollout, refused?.content.artifact], ["aborted", sha256("two")]);
  world.verifier.say(sha256("three"), "imported", unsigned);
  await done(world, deploy(controller, request("three")));
  assert.equal(live(controller), 3);
  const { warnings } = environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:8080/",
  });
  assert.ok(warnings.some((text) => text.includes(`v3 is not verified: ${unsigned}`)));
  assert.deepEqual(
    [...world.journal.read()].map(({ data }) => data.kind).filter((kind) => /^trust|refused$/.test(kind)),
    ["trust.verified", "trust.refused", "release.refused", "trust.warned"],
  );
  await controller.stop();
});

test("an environment's own word counts for built and imported artifacts alike", async () => {
  for (const origin of ["built", "imported"] as const) {
    const world = createWorld();
    const controller = await world.startController(undefined, "boot");
    world.verifier.say(sha256("one"), origin, unsigned);
    await fails(world, deploy(controller, request("one", { trust: "enforce" })), "ARTIFACT_UNVERIFIED");
    await done(world, deploy(controller, request("one", { trust: "warn" })));
    world.verifier.say(sha256("two"), origin, unsigned);
    const before = world.verifier.verified();
    await done(world, deploy(controller, request("two", { trust: "off" })));
    assert.equal(world.verifier.verified(), before);
    assert.equal(live(controller), 3);
    await controller.stop();
  }
});

test("a refused deploy leaves a rollout that is under way alone", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 5_000 });
  const work = deploy(controller, request("two"));
  work.catch(() => {});
  await world.clock.advance(1_000);
  world.verifier.say(sha256("three"), "built", unsigned);
  await fails(world, deploy(controller, request("three")), "ARTIFACT_UNVERIFIED");
  await done(world, work);
  assert.equal(live(controller), 2);
  await done(world, deploy(controller, request("four")));
  assert.equal(live(controller), 4);
  await controller.stop();
});

test("a rollback goes by what was decided before, until a key changes", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  for (const text of ["one", "two"]) {
    await done(world, deploy(controller, request(text)));
    await world.clock.advance(61_000);
  }
  const before = world.verifier.verified();
  await done(world, rollback(controller, asked));
  assert.equal(world.verifier.verified(), before);
  await world.clock.advance(61_000);
  world.verifier.changeKeys();
  world.verifier.say(sha256("two"), "built", "its key was revoked");
  await fails(world, rollback(controller, { ...asked, to: 2 }), "ARTIFACT_UNVERIFIED");
  assert.equal(world.verifier.verified(), before + 1);
  assert.equal(live(controller), 3);
  world.verifier.say(sha256("one"), "built", "its key was revoked");
  await done(world, deploy(controller, request("four")));
  await world.clock.advance(61_000);
  const { rollback: readiness } = environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:8080/",
  });
  assert.deepEqual([readiness.target, readiness.ready, readiness.refused], [1, false, "its key was revoked"]);
  await done(world, deploy(controller, request("three", { trust: "warn" })));
  await done(world, rollback(controller, { ...asked, to: 2 }));
  assert.equal(recordOf(controller).releases.get(live(controller) ?? 0)?.of, 2);
  await controller.stop();
});

test("evidence that is gone takes down nothing that is live: it is started again, and its config may change", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  world.verifier.say(sha256("one"), "built", unsigned);
  world.verifier.changeKeys();
  await controller.stop();
  world.cutPower();
  const next = await world.startController(undefined, "another boot");
  await world.clock.advance(60_000);
  assert.equal(live(next), 1);
  assert.equal(next.fleet.all().filter(({ phase }) => phase === "running").length, 2);
  await done(world, changeConfig(next, { ...asked, set: { A: "1" } }));
  assert.equal(live(next), 2);
  await next.stop();
});

test("a plan is refused for what the deploy would be refused for, and records nothing", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  world.verifier.say(sha256("one"), "built", unsigned);
  await fails(world, planDeploy(controller, request("one")), "ARTIFACT_UNVERIFIED");
  await done(world, deploy(controller, request("two")));
  await revoke(controller, { artifact: sha256("three"), who: "eve", why: "CVE" });
  const { seq } = controller.state;
  const error = await fails(world, planDeploy(controller, request("three")), "ARTIFACT_REVOKED");
  assert.match(error.message, /Cannot start v2 of shop in production: artifact sha256:\w{12} is revoked by eve: CVE/);
  assert.equal((await done(world, planDeploy(controller, request("four")))).release, 2);
  assert.equal(controller.state.seq, seq);
  await controller.stop();
});

test("what is live is looked at again when keys change, and its warning goes when its evidence is back", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  const told = () => [...world.journal.read()].map(({ data }) => data.kind).filter((kind) => kind.startsWith("trust."));
  await world.clock.advance(600_000);
  assert.deepEqual(told(), ["trust.verified"]);
  world.verifier.say(sha256("one"), "built", "its key was revoked");
  world.verifier.changeKeys();
  await world.clock.advance(600_000);
  assert.deepEqual(told(), ["trust.verified", "trust.warned"]);
  world.verifier.say(sha256("one"), "built");
  await done(world, deploy(controller, request("one")));
  assert.deepEqual(told(), ["trust.verified", "trust.warned", "trust.verified"]);
  assert.equal(recordOf(controller).lastRelease, 1);
  await controller.stop();
});
