import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import type { ReleaseOutcome } from "../controller/begin.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import { removeVolume, restoreVolume, snapshotVolume, volumeRows } from "../controller/volumes.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { contentDigest, type EnvironmentSettings, type VolumeMount } from "../model/content.ts";
import type { VolumeId } from "../model/volumes.ts";
import { app, asked, done, fails, live, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const id: VolumeId = { app, environment: asked.environment, name: "data" };
const mount: VolumeMount = { path: "/var/lib/data", sharing: "exclusive", snapshot: false };

/** A deploy of an app with a volume that only one instance may have. */
function wanting(text: string, change: Partial<VolumeMount> = {}, settings: Partial<EnvironmentSettings> = {}) {
  const plain = request(text, { instances: 1, ...settings });
  return { ...plain, settings: { ...plain.settings, volumes: { data: { ...mount, ...change } } } };
}

const digestOf = ({ artifact, settings }: DeployRequest) =>
  contentDigest({ artifact, config: {}, secrets: {}, settings });
const kindsOf = (world: World): readonly string[] => [...world.journal.read()].map(({ data }) => data.kind);
const running = (controller: Controller) =>
  controller.fleet
    .all()
    .filter(({ phase }) => phase === "running")
    .map(({ name }) => name);

/** Asks every few ms; one that waits is asked again when it may be. @returns statuses, and the longest wait in ms */
function clients(world: World): { stop(): { readonly statuses: readonly number[]; readonly longestMs: number } } {
  const statuses = new Set<number>();
  let longestMs = 0;
  let stopped = false;
  const ask = (askedAtMs: number): void => {
    const answer = world.router.request("shop", "/");
    if ("waits" in answer) return void answer.waits.then(() => ask(askedAtMs));
    longestMs = Math.max(longestMs, world.clock.monotonic() - askedAtMs);
    statuses.add("end" in answer ? 200 : answer.status);
    if ("end" in answer) world.clock.after(20, () => answer.end(200, 20));
  };
  const loop = (): void => {
    if (stopped) return;
    ask(world.clock.monotonic());
    world.clock.after(7, loop);
  };
  loop();
  return {
    stop() {
      stopped = true;
      return { statuses: [...statuses].sort((a, b) => a - b), longestMs };
    },
  };
}

async function live1(world: World, change: Partial<VolumeMount> = {}): Promise<Controller> {
  const controller = await world.startController();
  await done(world, deploy(controller, wanting("one", change)));
  await world.clock.advance(61_000);
  return controller;
}

test("what has an exclusive volume ends before what comes starts; requests wait meanwhile, and none fails", async () => {
  const world = createWorld({ trusting: true });
  const controller = await live1(world);
  world.machine.behave({ startMs: 300, readyMs: 1_000 }, digestOf(wanting("two")));
  const load = clients(world);
  await done(world, deploy(controller, wanting("two")));
  await world.clock.advance(61_000);
  const { statuses, longestMs } = load.stop();
  assert.deepEqual(statuses, [200]);
  assert.ok(longestMs >= 1_300 && longestMs < 3_000, `${longestMs} ms`);
  assert.deepEqual(running(controller), ["shop-production-v2-1"]);
  const events = [...world.journal.read()].map(({ data }) => data);
  const at = (kind: string, of = "") =>
    events.findIndex((event) => event.kind === kind && JSON.stringify(event).includes(of));
  assert.ok(at("set.yielded") < at("instances.starting", "v2"));
  assert.ok(!events.some((event) => event.kind === "instance.exited"), "an end that was asked for is no crash");
  await done(world, rollback(controller, asked));
  assert.deepEqual(running(controller), ["shop-production-v3-1"]);
  assert.deepEqual(world.machine.trespassers, []);
  await controller.stop();
});

test("a release that fails after what was live has ended brings that back, and requests wait for it", async () => {
  for (const behaviour of [{ readyMs: 500, exitMs: 200 }, { readyMs: null }, { failure: "no such program" }]) {
    const world = createWorld();
    const controller = await live1(world);
    world.machine.behave(behaviour, digestOf(wanting("two")));
    const load = clients(world);
    await assert.rejects(done(world, deploy(controller, wanting("two"))));
    await world.clock.advance(20_000);
    assert.equal(live(controller), 1);
    assert.deepEqual(running(controller), ["shop-production-v1-2"]);
    assert.deepEqual(load.stop().statuses, [200], JSON.stringify(behaviour));
    assert.deepEqual((await world.router.observe()).rules[0]?.hold, undefined);
    assert.equal(recordOf(controller).sets.get(recordOf(controller).live!.set)?.yieldsTo, null);
    assert.deepEqual(world.machine.refused, []);
    await controller.stop();
  }
});

test("what was to come back and keeps ending is not waited for: requests are refused, and the route holds none", async () => {
  const world = createWorld();
  const controller = await live1(world);
  world.machine.behave({ readyMs: null, exitMs: 100 }, digestOf(wanting("two")));
  world.machine.behave({ readyMs: null, exitMs: 100 }, digestOf(wanting("one")));
  await assert.rejects(done(world, deploy(controller, wanting("two"))));
  await world.clock.advance(20_000);
  assert.equal((await world.router.observe()).rules[0]?.hold, undefined);
  assert.deepEqual(world.router.request("shop", "/"), { status: 503 });
  world.machine.behave({}, digestOf(wanting("one")));
  await world.clock.advance(70_000);
  assert.ok("end" in world.router.request("shop", "/"));
  await controller.stop();
});

test("an instance with an exclusive volume is replaced after its end: unhealthy, drifted, crashed or without supervisor", async () => {
  const name = "shop-production-v1-1" as never;
  const troubles: readonly ((world: World) => void)[] = [
    (world) => world.machine.answer(name, 500),
    (world) => world.machine.change(name, { entered: [{ pid: 7, command: "sh" }] }),
    (world) => world.machine.exit(name, 1),
    (world) => world.machine.orphan(name),
  ];
  for (const trouble of troubles) {
    const world = createWorld();
    const controller = await live1(world);
    trouble(world);
    await world.clock.advance(30_000);
    assert.deepEqual(running(controller), ["shop-production-v1-2"], String(trouble));
    assert.deepEqual(world.machine.refused, [], String(trouble));
    await controller.stop();
  }
});

test("what has an exclusive volume is never kept warm, also where what comes does not want it", async () => {
  const world = createWorld();
  const controller = await live1(world);
  await done(world, deploy(controller, request("plain", { instances: 2 })));
  await world.clock.advance(1_000);
  assert.deepEqual(running(controller), ["shop-production-v2-1", "shop-production-v2-2"]);
  const retired = [...world.journal.read()].find(({ data }) => data.kind === "set.retired")?.data;
  assert.ok(retired?.kind === "set.retired" && /only one may have/.test(retired.reason));
  await controller.stop();
});

test("an app without a route, as a database, is handed over too, and comes back when what comes fails", async () => {
  const world = createWorld({ trusting: true });
  const controller = await world.startController();
  const database = (text: string) => wanting(text, {}, { route: null, deadlineMs: 30_000 });
  await done(world, deploy(controller, database("one")));
  await world.clock.advance(61_000);
  world.machine.behave({ startMs: 200, readyMs: 500 });
  await done(world, deploy(controller, database("two")));
  await world.clock.advance(1_000);
  assert.deepEqual(running(controller), ["shop-production-v2-1"]);
  world.machine.behave({ readyMs: null }, digestOf(database("three")));
  await assert.rejects(done(world, deploy(controller, database("three"))));
  await world.clock.advance(20_000);
  assert.deepEqual(running(controller), ["shop-production-v2-2"]);
  await done(world, rollback(controller, { ...asked, to: 1 }));
  await world.clock.advance(20_000);
  assert.deepEqual([live(controller), running(controller)], [4, ["shop-production-v4-1"]]);
  assert.deepEqual(world.machine.trespassers, []);
  await controller.stop();
});

test("a shared volume changes nothing: what comes starts beside what is live, which stays warm", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const shared = { sharing: "shared" as const };
  await done(world, deploy(controller, wanting("one", shared, { instances: 2 })));
  await done(world, deploy(controller, wanting("two", shared, { instances: 2 })));
  assert.equal(running(controller).length, 4);
  assert.ok(!kindsOf(world).includes("set.yielded"));
  // One that wants it alone gets it alone, of those that are warm too.
  await done(world, deploy(controller, wanting("three")));
  await world.clock.advance(1_000);
  assert.deepEqual(running(controller), ["shop-production-v3-1"]);
  assert.deepEqual(world.machine.refused, []);
  await controller.stop();
});

test("snapshots are made before a release that asks for them: of an exclusive volume when nobody has it", async () => {
  const world = createWorld();
  const snapshot = { snapshot: true };
  const controller = await live1(world, snapshot);
  assert.deepEqual([...(recordOf(controller).releases.get(1)?.snapshots ?? [])], [["data", null]]);
  world.volumes.files(id)?.set("row", "1");
  const { snapshot: real } = world.volumes;
  let having: readonly string[] = ["never asked"];
  world.volumes.snapshot = (...args) => {
    having = running(controller);
    return real(...args);
  };
  await done(world, deploy(controller, wanting("two", snapshot)));
  assert.deepEqual(having, []);
  world.volumes.files(id)?.set("row", "2");
  assert.equal(world.volumes.files(id, "before-v2")?.get("row"), "1");
  assert.deepEqual([...(recordOf(controller).releases.get(2)?.snapshots ?? [])], [["data", "before-v2"]]);
  await done(world, rollback(controller, { ...asked, to: 1 }));
  assert.equal((await world.volumes.list())[0]?.snapshots.length, 1, "a rollback asks for none");
  for (let i = 0; i < 12; i += 1) await done(world, deploy(controller, wanting(`more ${i}`, snapshot)));
  const kept = (await world.volumes.list())[0]?.snapshots.map(({ name }) => name);
  assert.deepEqual([kept?.length, kept?.at(0), kept?.at(-1)], [10, "before-v6", "before-v15"]);
  await controller.stop();
});

test("a snapshot that the disk has no room for ends the rollout, and what was live goes on", async () => {
  for (const sharing of ["exclusive", "shared"] as const) {
    const world = createWorld();
    const controller = await live1(world, { sharing });
    world.volumes.fill(true);
    await fails(world, deploy(controller, wanting("two", { sharing, snapshot: true })), "DISK_FULL");
    await world.clock.advance(20_000);
    assert.deepEqual(running(controller).length, 1);
    assert.equal(live(controller), 1);
    assert.equal((await world.router.observe()).rules[0]?.hold, undefined);
    await controller.stop();
  }
});

test("a volume over files of the image is refused before the release has a number and anything stops", async () => {
  const world = createWorld();
  const controller = await live1(world);
  const before = kindsOf(world).length;
  world.machine.hide("/usr/share/files");
  const error = await fails(world, deploy(controller, wanting("two", { path: "/usr" })), "VOLUME_UNFIT");
  assert.match(error.message, /\/usr/);
  assert.deepEqual(running(controller), ["shop-production-v1-1"]);
  assert.deepEqual(
    states(controller).map(([number]) => number),
    [1],
  );
  assert.equal(kindsOf(world).length, before);
  await controller.stop();
});

test("an exclusive volume wanted by several is refused, naming who has it", async () => {
  const world = createWorld();
  const controller = await live1(world);
  const many = await fails(world, deploy(controller, wanting("two", {}, { instances: 2 })), "VOLUME_HELD");
  assert.match(many.message, /volume "data".*2 instances of web/);
  await fails(world, scale(controller, { ...asked, instances: 3 }), "VOLUME_HELD");
  const worker = { command: ["w"], resources: request("").settings.resources, drainMs: 0, volumes: { data: mount } };
  const twice = wanting("two");
  const both = { ...twice, settings: { ...twice.settings, processes: { worker } } };
  assert.match((await fails(world, deploy(controller, both), "VOLUME_HELD")).message, /process web has it/);
  const thumbs = "thumbs" as typeof app;
  const other: DeployRequest = {
    ...wanting("thumbs", { sharing: "shared", app }),
    app: thumbs,
    environmentSettings: { ...wanting("").environmentSettings, route: { host: "thumbs", path: "/" } },
  };
  const held = await fails(world, deploy(controller, other), "VOLUME_HELD");
  assert.match(held.message, /Cannot give volume "data" to thumbs in production: app shop has it by v1/);
  assert.deepEqual(running(controller), ["shop-production-v1-1"]);
  await done(world, deploy(controller, wanting("three", { sharing: "shared" })));
  await done(world, deploy(controller, other));
  assert.match((await fails(world, deploy(controller, wanting("four")), "VOLUME_HELD")).message, /app thumbs has it/);
  await controller.stop();
});

test("a worker with an exclusive volume starts after the one before it has ended", async () => {
  const world = createWorld({ trusting: true });
  const controller = await world.startController();
  const withWorker = (text: string): DeployRequest => {
    const plain = request(text);
    const worker = {
      command: ["w"],
      resources: plain.settings.resources,
      drainMs: 5_000,
      volumes: { data: mount },
    };
    return { ...plain, settings: { ...plain.settings, processes: { worker } } };
  };
  await done(world, deploy(controller, withWorker("one")));
  await world.clock.advance(61_000);
  world.machine.behave({ endsOnTerm: false });
  const load = clients(world);
  await done(world, deploy(controller, withWorker("two")));
  await world.clock.advance(61_000);
  assert.deepEqual(load.stop().statuses, [200]);
  assert.ok(running(controller).some((name) => name.startsWith("shop-production-v2-worker-")));
  assert.ok(!kindsOf(world).includes("set.yielded"), "requests have nothing to do with it");
  assert.deepEqual(world.machine.trespassers, []);
  await controller.stop();
});

test("volumes stay when their app is taken down, and are there again when it comes back", async () => {
  const world = createWorld();
  const controller = await live1(world);
  world.volumes.files(id)?.set("row", "1");
  await done(world, down(controller, asked));
  assert.deepEqual(running(controller), []);
  assert.equal(world.volumes.files(id)?.get("row"), "1");
  await done(world, deploy(controller, wanting("one")));
  assert.equal(running(controller).length, 1);
  await controller.stop();
});

test("snapshots, restored volumes and removals: nothing is written over, what runs or is needed is named", async () => {
  const world = createWorld();
  const controller = await live1(world);
  world.volumes.files(id)?.set("row", "1");
  const told = (): void => {};
  const base = { ...asked, volume: "data" };
  const made = await done(world, snapshotVolume(controller, base, told));
  assert.match(made.snapshot ?? "", /^\d{8}-\d{6}$/);
  assert.equal(made.torn, true, "somebody writes to it, and files share bytes one by one");
  const same = snapshotVolume(controller, { ...base, snapshot: made.snapshot ?? "" }, told);
  await fails(world, same, "ARGUMENT_INVALID");
  await fails(world, snapshotVolume(controller, { ...base, volume: "dada" }, told), "NOT_FOUND");
  world.volumes.files(id)?.set("row", "2");
  const restored = await done(world, restoreVolume(controller, base, told));
  assert.equal(world.volumes.files({ ...id, name: restored.volume })?.get("row"), "1");
  await fails(world, restoreVolume(controller, { ...base, as: "data" }, told), "ARGUMENT_INVALID");
  const [row, copy] = await volumeRows(controller, { app, environment: asked.environment });
  assert.deepEqual([row?.attachedTo, row?.releases], [["shop-production-v1-1"], ["v1"]]);
  assert.deepEqual([copy?.attachedTo, copy?.releases], [[], []]);
  const held = await fails(world, removeVolume(controller, { ...base, yes: true }), "VOLUME_ATTACHED");
  assert.match(held.message, /shop-production-v1-1, v1 have it/);
  await done(world, deploy(controller, request("plain", { watchMs: 0 })));
  await world.clock.advance(1_000);
  const needed = await fails(world, removeVolume(controller, { ...base, yes: false }), "VOLUME_NEEDED");
  assert.match(needed.message, /its snapshot without --yes.*v1 needs it for a rollback/);
  await done(world, removeVolume(controller, { ...base, yes: true }));
  assert.deepEqual(
    (await world.volumes.list()).map((one) => one.id.name),
    [restored.volume],
  );
  const kinds = kindsOf(world);
  for (const kind of ["snapshot.made", "volume.restored", "volume.removed"]) assert.ok(kinds.includes(kind), kind);
  await controller.stop();
});

/** Small and repeatable; the sequence is what matters, not its quality. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % sides;
  };
}

test("an exclusive volume is never attached twice: deploys, rollbacks, failures, daemons that die and power cuts", async (t) => {
  let attached = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const world = createWorld();
    const roll = dice(seed);
    const used = new Set<ReturnType<typeof digestOf>>();
    let controller = await world.startController(undefined, "boot 0");
    const works: Promise<ReleaseOutcome | void>[] = [];
    for (let move = 0; move < 14; move += 1) {
      const text = `content ${roll(4)}`;
      const change: Partial<VolumeMount> = roll(5) === 0 ? { sharing: "shared" } : { snapshot: roll(2) === 0 };
      const wanted = wanting(text, change, { watchMs: 2_000, deadlineMs: 20_000 });
      const bad = [{ exitMs: 100 + roll(400) }, { readyMs: null }, { failure: "no" }, { endsOnTerm: false }][roll(8)];
      used.add(digestOf(wanted));
      world.machine.behave({ startMs: roll(300), readyMs: roll(2_000), ...bad }, digestOf(wanted));
      switch (roll(6)) {
        case 0:
          works.push(rollback(controller, asked));
          break;
        case 1: {
          // The daemon dies in the middle, and another takes over.
          void controller.stop();
          await world.clock.advance(roll(500));
          controller = await world.startController(undefined, "boot 0");
          break;
        }
        case 2:
          for (const name of running(controller)) if (roll(2) === 0) world.machine.exit(name, 1);
          break;
        case 3:
          if (roll(4) === 0) {
            const stopped = controller.stop();
            world.cutPower();
            await world.clock.advance(10_000);
            await stopped;
            controller = await world.startController(undefined, `boot ${move}`);
          }
          break;
        default:
          works.push(deploy(controller, wanted));
      }
      for (const work of works) work.catch(() => {});
      await world.clock.advance(roll(4_000));
      assert.deepEqual(world.machine.trespassers, []);
    }
    for (const digest of used) world.machine.behave({}, digest);
    await world.clock.advance(120_000);
    const record = recordOf(controller);
    const what = `seed ${seed}: ${JSON.stringify(states(controller))}`;
    assert.equal(record.active, null, what);
    if (record.live !== null) {
      assert.ok(running(controller).length >= 1, what);
      assert.equal((await world.router.observe()).rules[0]?.hold, undefined, what);
      assert.equal((await world.router.observe()).rules[0]?.stable, record.live.set, what);
    }
    attached += kindsOf(world).filter((kind) => kind === "set.yielded").length;
    await controller.stop();
  }
  assert.ok(attached > 100, `${attached} handovers`);
  t.diagnostic(`${attached} handovers`);
});

test("a volume of what is live that is gone is named, and no empty one takes its place; put back, all goes on", async () => {
  const world = createWorld({ trusting: true });
  const controller = await live1(world);
  const putBack = world.volumes.lose(id);
  const error = await fails(world, deploy(controller, wanting("two")), "VOLUME_LOST");
  assert.match(error.message, /shop\/production\/data, which v1 has/);
  const [first] = running(controller);
  assert.equal(first, "shop-production-v1-1", "what is live has not been ended for it");
  assert.ok(!kindsOf(world).includes("set.yielded"));
  world.machine.exit(first ?? assert.fail(), 1);
  await world.clock.advance(10_000);
  assert.deepEqual(running(controller), []);
  assert.deepEqual(await world.volumes.list(), []);
  assert.match(controller.startProblem(recordOf(controller)) ?? "", /Cannot find volume shop\/production\/data/);
  putBack();
  await world.clock.advance(120_000);
  assert.equal(running(controller).length, 1);
  assert.equal(controller.startProblem(recordOf(controller)), undefined);
  await controller.stop();
});
