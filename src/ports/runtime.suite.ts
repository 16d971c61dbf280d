import assert from "node:assert/strict";
import test from "node:test";
import { compareObservation } from "../drift/compare.ts";
import type { Digest } from "../model/canonical.ts";
import { contentDigest, defaultRunSettings, type Content, type RunSettings } from "../model/content.ts";
import {
  instanceName,
  runProcess,
  setName,
  webProcess,
  type AppName,
  type EnvironmentName,
  type InstanceName,
  type ProcessName,
} from "../model/names.ts";
import type { AppAddresses } from "../model/observation.ts";
import type { Exit, InstancesWanted, InstanceSet, ObservedInstance, Runtime, Task } from "./runtime.ts";

/** A machine to try a runtime on. */
export interface RuntimeBench {
  readonly runtime: Runtime;
  /** An artifact whose instances run until they are told to end. */
  readonly artifact: Digest;
  /** One that the store lacks. */
  readonly lacking: Digest;
  /** Settings with which no instance can be started. */
  readonly failing: Partial<RunSettings>;
  /** A command that writes a line and ends with a status; in between it takes a moment. */
  task(line: string, code: number): readonly string[];
  /** One that does not end by itself. */
  readonly endless: readonly string[];
  /** Ends an instance's first process by SIGKILL, behind the runtime's back. */
  crash(instance: ObservedInstance): Promise<void>;
  /** Ends an instance's supervisor by SIGKILL. */
  orphan(instance: ObservedInstance): Promise<void>;
  /** What an app's name stands for in an instance. */
  resolve(instance: InstanceName, app: string): Promise<readonly string[]>;
  /** Takes the daemon away. @returns what the next one sees, once called */
  leave(): () => Promise<Runtime>;
  end(): Promise<void>;
}

const signal = new AbortController().signal;

/** The set that a release of app "shop" would make. */
export function suiteSet(artifact: Digest, settings: Partial<RunSettings> = {}, release = 1): InstanceSet {
  const app = "shop" as AppName;
  const environment = "production" as EnvironmentName;
  const content: Content = { artifact, config: {}, secrets: {}, settings: { ...defaultRunSettings, ...settings } };
  return {
    name: setName(app, environment, release),
    app,
    environment,
    release,
    digest: contentDigest(content),
    content,
  };
}

/** Instances of `web`; new ones get ordinals from `first` on. */
export function web(count: number, first: number): InstancesWanted {
  return { process: webProcess, count, ordinals: Array.from({ length: count }, (_, index) => first + index) };
}

/** What every runtime does. @param open gives a machine with nothing of ours on it */
export function runtimeSuite(name: string, open: () => Promise<RuntimeBench>): void {
  function check(title: string, body: (bench: RuntimeBench, set: InstanceSet) => Promise<void>): void {
    test(`${name}: ${title}`, async () => {
      const bench = await open();
      try {
        await body(bench, suiteSet(bench.artifact));
      } finally {
        await bench.end();
      }
    });
  }

  check(
    "ensure() gives each new instance a process and an address of its own, with the ordinals given",
    async ({ runtime }, set) => {
      await runtime.ensure(set, web(3, 5), signal);
      const seen = await runtime.observe();
      assert.deepEqual(
        seen.map(({ name: instance }) => instance),
        [`${set.name}-5`, `${set.name}-6`, `${set.name}-7`],
      );
      for (const instance of seen) {
        assert.equal(instance.phase, "running");
        assert.equal(instance.set, set.name);
        assert.equal(instance.process, webProcess);
        assert.equal(instance.digest, set.digest);
        assert.equal(instance.port, set.content.settings.port);
        assert.ok(instance.pid !== null && instance.pid > 0);
      }
      assert.equal(new Set(seen.map(({ address }) => address)).size, 3);
      assert.ok(seen.every(({ address }) => address !== null));
    },
  );

  check("ensure() leaves running instances alone and starts only what is missing", async ({ runtime }, set) => {
    await runtime.ensure(set, web(1, 1), signal);
    const [first] = await runtime.observe();
    await runtime.ensure(set, web(1, 2), signal);
    await runtime.ensure(set, web(2, 2), signal);
    const seen = await runtime.observe();
    assert.deepEqual(seen[0], first);
    assert.deepEqual(
      seen.map(({ ordinal }) => ordinal),
      [1, 2],
    );
  });

  check("ensure() gives no ordinal but those it is told, and none twice", async ({ runtime }, set) => {
    await runtime.ensure(set, { ...web(3, 2), ordinals: [2] }, signal);
    await runtime.ensure(set, { ...web(3, 2), ordinals: [2, 3] }, signal);
    assert.deepEqual(
      (await runtime.observe()).map(({ ordinal }) => ordinal),
      [2, 3],
    );
  });

  check(
    "ensure() runs each process with its own command and ordinals, and does not count what is to end",
    async ({ runtime, artifact, endless }) => {
      const process = "worker" as ProcessName;
      const { resources, drainMs } = defaultRunSettings;
      const set = suiteSet(artifact, { processes: { [process]: { command: endless, resources, drainMs } } });
      await runtime.ensure(set, web(1, 4), signal);
      await runtime.ensure(set, { process, count: 2, ordinals: [1, 2] }, signal);
      const first = instanceName(set.name, 1, process);
      const ending = [first];
      await runtime.ensure(set, { process, count: 2, ordinals: [3, 4], ending }, signal);
      await runtime.ensure(set, { process, count: 2, ordinals: [4, 5], ending }, signal);
      const seen = await runtime.observe();
      assert.deepEqual(
        seen.map((instance) => [instance.name, instance.process, instance.ordinal, instance.phase]),
        [
          [`${set.name}-4`, webProcess, 4, "running"],
          ...[1, 2, 3].map((ordinal) => [instanceName(set.name, ordinal, process), process, ordinal, "running"]),
        ],
      );
      assert.equal(new Set(seen.map(({ address }) => address)).size, 4);
      const inspected = await runtime.inspect(first);
      assert.deepEqual(inspected?.observed.arguments, endless);
      assert.deepEqual(compareObservation(inspected.expected, inspected.observed), []);
    },
  );

  check("ensure() fails for none that is removed while it is started, at whatever moment", async ({ runtime }, set) => {
    for (let ordinal = 1; ordinal <= 8; ordinal += 1) {
      const name = instanceName(set.name, ordinal);
      const started = runtime.ensure(set, web(1, ordinal), signal);
      await new Promise((resolve) => setTimeout(resolve, 6 * (ordinal - 1)));
      const wasSeen = (await runtime.observe()).length > 0;
      await runtime.remove([name], 0, signal);
      await started;
      // Where there was nothing to remove yet, it came up after all.
      if (!wasSeen) await runtime.remove([name], 0, signal);
      assert.deepEqual(await runtime.observe(), []);
    }
  });

  check("ensure() called twice at once starts no more than the larger count", async ({ runtime }, set) => {
    await Promise.all([runtime.ensure(set, web(2, 1), signal), runtime.ensure(set, web(3, 1), signal)]);
    assert.equal((await runtime.observe()).length, 3);
  });

  check(
    "ensure() asked again, as after a lost answer, starts nothing more; a smaller count ends nothing",
    async ({ runtime, leave }, set) => {
      await runtime.ensure(set, web(2, 1), signal);
      const before = await runtime.observe();
      await runtime.ensure(set, web(2, 1), signal);
      await runtime.ensure(set, web(1, 3), signal);
      await runtime.ensure(set, web(0, 3), signal);
      assert.deepEqual(await runtime.observe(), before);
      const next = await leave()();
      await next.ensure(set, web(2, 1), signal);
      assert.deepEqual(await next.observe(), before);
    },
  );

  check(
    "ensure() passes over ordinals that an instance has, also one that exited, and takes one again that was removed",
    async ({ runtime, crash }, set) => {
      const ordinals = async () => (await runtime.observe()).map(({ ordinal, phase }) => [ordinal, phase]);
      await runtime.ensure(set, web(1, 2), signal);
      const [second] = await runtime.observe();
      assert.ok(second !== undefined);
      const exited = Promise.withResolvers<void>();
      const stop = runtime.onExit(() => exited.resolve());
      await crash(second);
      await exited.promise;
      stop();
      await runtime.ensure(set, { ...web(2, 1), ordinals: [1, 2, 3] }, signal);
      assert.deepEqual(await ordinals(), [
        [1, "running"],
        [2, "exited"],
        [3, "running"],
      ]);
      await runtime.remove([second.name, `${set.name}-1` as InstanceName], 0, signal);
      await runtime.ensure(set, { ...web(2, 1), ordinals: [1, 2, 3] }, signal);
      assert.deepEqual(await ordinals(), [
        [1, "running"],
        [3, "running"],
      ]);
    },
  );

  check("ensure() that is aborted under way leaves nothing half-made", async ({ runtime }, set) => {
    const stop = new AbortController();
    const work = runtime.ensure(set, web(2, 1), stop.signal);
    stop.abort();
    await assert.rejects(work);
    assert.ok((await runtime.observe()).every(({ phase, address }) => phase === "running" && address !== null));
    await runtime.ensure(set, web(2, 1), signal);
    assert.equal((await runtime.observe()).length, 2);
  });

  check(
    "ensure() throws RUNTIME_FAILED for what cannot be started, and leaves nothing of it",
    async ({ runtime, artifact, failing }, set) => {
      await runtime.ensure(set, web(1, 1), signal);
      const before = await runtime.observe();
      await assert.rejects(runtime.ensure(suiteSet(artifact, failing, 2), web(2, 1), signal), {
        code: "RUNTIME_FAILED",
      });
      assert.deepEqual(await runtime.observe(), before);
    },
  );

  check("ensure() that was aborted before it began starts nothing", async ({ runtime }, set) => {
    await assert.rejects(runtime.ensure(set, web(1, 1), AbortSignal.abort()));
    assert.deepEqual(await runtime.observe(), []);
  });

  check("prepare() throws NOT_FOUND for an artifact the store lacks", async ({ runtime, lacking }) => {
    await assert.rejects(runtime.prepare(lacking, signal), { code: "NOT_FOUND" });
  });

  check(
    "onExit() tells of a crash once, observe() shows it, and ensure() makes another",
    async ({ runtime, crash }, set) => {
      await runtime.ensure(set, web(2, 1), signal);
      const told: { instance: InstanceName; exit: Exit }[] = [];
      const first = Promise.withResolvers<void>();
      const stop = runtime.onExit((instance, exit) => {
        told.push({ instance, exit });
        first.resolve();
      });
      const [victim, other] = await runtime.observe();
      assert.ok(victim !== undefined && other !== undefined);
      await crash(victim);
      await first.promise;
      assert.deepEqual(
        told.map(({ instance, exit }) => [instance, exit.code, exit.outOfMemory]),
        [[victim.name, 137, false]],
      );
      const [gone, still] = await runtime.observe();
      assert.equal(gone?.phase, "exited");
      assert.equal(gone.pid, null);
      assert.equal(gone.exit?.code, 137);
      assert.deepEqual(still, other);
      assert.equal((await runtime.facts(victim.name)).exit?.code, 137);
      assert.equal(await runtime.inspect(victim.name), null);
      await runtime.ensure(set, web(2, 3), signal);
      assert.deepEqual(
        (await runtime.observe()).map(({ ordinal, phase }) => [ordinal, phase]),
        [
          [1, "exited"],
          [2, "running"],
          [3, "running"],
        ],
      );
      stop();
      assert.equal(told.length, 1);
    },
  );

  check(
    "onOrphan() tells when a supervisor ended and when its instance does; until then the instance runs on",
    async ({ runtime, crash, orphan }, set) => {
      await runtime.ensure(set, web(2, 1), signal);
      const [victim, other] = await runtime.observe();
      assert.ok(victim !== undefined && other !== undefined);
      let told = Promise.withResolvers<InstanceName>();
      const stop = runtime.onOrphan((instance) => told.resolve(instance));
      await orphan(victim);
      assert.equal(await told.promise, victim.name);
      assert.deepEqual(await runtime.observe(), [{ ...victim, orphaned: true }, other]);
      told = Promise.withResolvers();
      await crash(victim);
      assert.equal(await told.promise, victim.name);
      const [gone, still] = await runtime.observe();
      assert.deepEqual([gone?.phase, gone?.pid, gone?.exit], ["broken", null, null]);
      assert.deepEqual(still, other);
      await runtime.remove([victim.name], 1_000, signal);
      assert.deepEqual(await runtime.observe(), [other]);
      stop();
    },
  );

  check("remove() takes instances away, may be repeated, and leaves the others", async ({ runtime }, set) => {
    await runtime.ensure(set, web(2, 1), signal);
    const [first, second] = await runtime.observe();
    assert.ok(first !== undefined && second !== undefined);
    await runtime.remove([first.name], 5_000, signal);
    await runtime.remove([first.name, `${set.name}-99` as InstanceName], 0, signal);
    assert.deepEqual(await runtime.observe(), [second]);
    await runtime.remove([second.name], 0, signal);
    assert.deepEqual(await runtime.observe(), []);
  });

  check(
    "remove() tells of each end once, before it resolves, and what it removed is gone then, for the next daemon too",
    async ({ runtime, leave }, set) => {
      for (const graceMs of [0, 5_000]) {
        await runtime.ensure(set, web(2, 1), signal);
        const seen = await runtime.observe();
        const told: InstanceName[] = [];
        const stop = runtime.onExit((instance) => told.push(instance));
        const names = seen.map((one) => one.name);
        // Asked for twice at once: both answer when it is done.
        await Promise.all([runtime.remove(names, graceMs, signal), runtime.remove(names, graceMs, signal)]);
        assert.deepEqual(told.toSorted(), names.toSorted());
        assert.deepEqual(await runtime.observe(), []);
        assert.equal(await runtime.inspect(seen[0]!.name), null);
        stop();
      }
      assert.deepEqual(await (await leave()()).observe(), []);
    },
  );

  check("onExit() tells of instances in the order in which they ended", async ({ runtime, crash }, set) => {
    await runtime.ensure(set, web(2, 1), signal);
    const told: InstanceName[] = [];
    let next = Promise.withResolvers<void>();
    const stop = runtime.onExit((instance) => {
      told.push(instance);
      next.resolve();
    });
    const order = (await runtime.observe()).toReversed();
    for (const instance of order) {
      next = Promise.withResolvers();
      await crash(instance);
      await next.promise;
    }
    assert.deepEqual(
      told,
      order.map((one) => one.name),
    );
    const exits = (await runtime.observe()).map(({ exit }) => exit?.atMs ?? 0);
    assert.deepEqual(
      exits,
      exits.toSorted((a, b) => b - a),
    );
    stop();
  });

  check("an address does not come back at once", async ({ runtime }, set) => {
    await runtime.ensure(set, web(1, 1), signal);
    const [before] = await runtime.observe();
    await runtime.remove([before?.name as InstanceName], 0, signal);
    await runtime.ensure(set, web(1, 2), signal);
    assert.notEqual((await runtime.observe())[0]?.address, before?.address);
  });

  check(
    "tellNames() reaches all instances of an environment, those that come later too, and of no other; nothing of it is drift",
    async ({ runtime, resolve }, set) => {
      const [here, elsewhere] = [set.environment, "staging" as EnvironmentName];
      const other: InstanceSet = { ...set, name: setName(set.app, elsewhere, 1), environment: elsewhere };
      await Promise.all([runtime.ensure(set, web(1, 1), signal), runtime.ensure(other, web(1, 1), signal)]);
      const [first, second, foreign] = [`${set.name}-1`, `${set.name}-2`, `${other.name}-1`] as InstanceName[];
      assert.ok(first !== undefined && second !== undefined && foreign !== undefined);
      const db = (...addresses: readonly string[]): AppAddresses => ({ app: "db" as AppName, addresses });
      const cache: AppAddresses = { app: "cache" as AppName, addresses: ["10.128.0.9"] };
      await runtime.tellNames(here, [cache, db("10.128.0.7", "10.128.0.8")], signal);
      await runtime.ensure(set, web(2, 2), signal);
      for (const name of [first, second]) {
        assert.deepEqual(await resolve(name, "db"), ["10.128.0.7", "10.128.0.8"], name);
        assert.deepEqual(await resolve(name, "cache"), ["10.128.0.9"], name);
      }
      assert.deepEqual(await resolve(foreign, "db"), []);
      await runtime.tellNames(here, [db("10.128.0.10")], signal);
      for (const name of [first, second]) {
        assert.deepEqual([await resolve(name, "db"), await resolve(name, "cache")], [["10.128.0.10"], []], name);
        const inspected = await runtime.inspect(name);
        assert.ok(inspected !== null);
        assert.deepEqual(compareObservation(inspected.expected, inspected.observed), []);
      }
      await runtime.tellNames(here, [], signal);
      assert.deepEqual(await resolve(first, "db"), []);
    },
  );

  check("inspect() of an untouched instance shows no drift", async ({ runtime }, set) => {
    await runtime.ensure(set, web(1, 1), signal);
    const inspected = await runtime.inspect(`${set.name}-1` as InstanceName);
    assert.ok(inspected !== null);
    assert.deepEqual(compareObservation(inspected.expected, inspected.observed), []);
    assert.equal(inspected.observed.artifact, set.content.artifact);
    assert.equal(await runtime.inspect(`${set.name}-2` as InstanceName), null);
  });

  check(
    "instances outlive their daemon: the next one finds them as they were, and what exited meanwhile",
    async ({ runtime, crash, leave }, set) => {
      await runtime.ensure(set, web(2, 1), signal);
      const before = await runtime.observe();
      const arrive = leave();
      const [victim, other] = before;
      assert.ok(victim !== undefined && other !== undefined);
      await crash(victim);
      const next = await arrive();
      const after = await next.observe();
      assert.deepEqual(after[1], other);
      assert.equal(after[0]?.phase, "exited");
      assert.equal(after[0]?.exit?.code, 137);
      await next.ensure(set, web(2, 3), signal);
      assert.equal((await next.observe()).filter(({ phase }) => phase === "running").length, 2);
    },
  );

  check("release() keeps what running instances need", async ({ runtime }, set) => {
    await runtime.ensure(set, web(1, 1), signal);
    await runtime.release([]);
    const inspected = await runtime.inspect(`${set.name}-1` as InstanceName);
    assert.ok(inspected !== null);
    assert.deepEqual(compareObservation(inspected.expected, inspected.observed), []);
    await runtime.ensure(set, web(2, 2), signal);
  });

  function taskOf(command: readonly string[], ordinal = 1): Task {
    return { process: runProcess, ordinal, command, environment: {}, sees: "content", like: webProcess };
  }

  async function ended(runtime: Runtime, name: InstanceName): Promise<Exit> {
    const end = Promise.withResolvers<Exit>();
    const stop = runtime.onExit((instance, exit) => instance === name && end.resolve(exit));
    const seen = (await runtime.observe()).find((one) => one.name === name);
    if (seen?.exit) end.resolve(seen.exit);
    const exit = await end.promise;
    stop();
    return exit;
  }

  check("startTask() runs a command to its end, tells its status and keeps what it wrote", async (bench, set) => {
    const { runtime } = bench;
    await runtime.ensure(set, web(1, 1), signal);
    await runtime.startTask(set, taskOf(bench.task("three", 3)), signal);
    const name = `${set.name}-run-1` as InstanceName;
    assert.equal((await ended(runtime, name)).code, 3);
    const seen = await runtime.observe();
    assert.deepEqual(
      seen.map((one) => [one.name, one.process, one.phase]),
      [
        [`${set.name}-1`, "web", "running"],
        [name, "run", "exited"],
      ],
    );
    const facts = await runtime.facts(name);
    assert.deepEqual([facts.exit?.code, facts.logTail], [3, ["three"]]);
    await runtime.remove([name], 0, signal);
    assert.deepEqual((await runtime.facts(name)).logTail, ["three"]);
  });

  check("startTask() leaves a task alone that runs or has ended, also one of an earlier daemon", async (bench, set) => {
    const { runtime } = bench;
    await runtime.startTask(set, taskOf(bench.endless), signal);
    const [before] = await runtime.observe();
    await runtime.startTask(set, taskOf(bench.endless), signal);
    assert.deepEqual(await runtime.observe(), [before]);
    await runtime.startTask(set, taskOf(bench.task("once", 0), 2), signal);
    await ended(runtime, `${set.name}-run-2` as InstanceName);
    const next = await bench.leave()();
    await next.startTask(set, taskOf(bench.endless), signal);
    await next.startTask(set, taskOf(bench.task("once", 0), 2), signal);
    const seen = await next.observe();
    assert.deepEqual([seen.length, seen[0]?.pid, seen[1]?.phase], [2, before?.pid, "exited"]);
    assert.deepEqual((await next.facts(`${set.name}-run-2` as InstanceName)).logTail, ["once"]);
    await next.remove([`${set.name}-run-1` as InstanceName], 0, signal);
  });

  check("startTask() asked for twice at once runs it once", async ({ runtime, endless }, set) => {
    await Promise.all([1, 2].map(() => runtime.startTask(set, taskOf(endless), signal)));
    assert.deepEqual(
      (await runtime.observe()).map(({ phase, address }) => [phase, address !== null]),
      [["running", true]],
    );
  });

  check(
    "startTask() throws RUNTIME_FAILED for a task whose end nobody saw",
    async ({ runtime, crash, orphan, endless }, set) => {
      await runtime.startTask(set, taskOf(endless), signal);
      const [victim] = await runtime.observe();
      assert.ok(victim !== undefined);
      let told = Promise.withResolvers<InstanceName>();
      const stop = runtime.onOrphan((instance) => told.resolve(instance));
      await orphan(victim);
      await told.promise;
      told = Promise.withResolvers();
      await crash(victim);
      await told.promise;
      await assert.rejects(runtime.startTask(set, taskOf(endless), signal), { code: "RUNTIME_FAILED" });
      assert.equal((await runtime.observe())[0]?.phase, "broken");
      stop();
    },
  );

  const exclusive: Partial<RunSettings> = {
    volumes: { data: { path: "/var/lib/data", sharing: "exclusive", snapshot: false } },
  };

  check(
    "ensure() attaches an exclusive volume once: another's start is VOLUME_ATTACHED until its holder has ended",
    async ({ runtime, artifact, crash, leave }) => {
      const first = suiteSet(artifact, exclusive, 1);
      const second = suiteSet(artifact, { ...exclusive, port: 8081 }, 2);
      const both = await Promise.allSettled([
        runtime.ensure(first, web(1, 1), signal),
        runtime.ensure(second, web(1, 1), signal),
      ]);
      assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
      const [holder, ...others] = await runtime.observe();
      assert.ok(holder !== undefined && others.length === 0);
      const waiting = holder.set === first.name ? second : first;
      await assert.rejects(runtime.ensure(waiting, web(1, 2), signal), { code: "VOLUME_ATTACHED" });
      const next = await leave()();
      await assert.rejects(next.ensure(waiting, web(1, 3), signal), { code: "VOLUME_ATTACHED" });
      const third = suiteSet(artifact, { volumes: { data: { path: "/d", sharing: "shared", snapshot: false } } }, 3);
      await assert.rejects(next.ensure(third, web(1, 1), signal), { code: "VOLUME_ATTACHED" });
      assert.deepEqual(
        (await next.observe()).map(({ name: instance }) => instance),
        [holder.name],
      );
      const exited = Promise.withResolvers<void>();
      const stop = next.onExit(() => exited.resolve());
      await crash(holder);
      await exited.promise;
      stop();
      await next.ensure(waiting, web(1, 4), signal);
      assert.equal((await next.observe()).filter(({ phase }) => phase === "running").length, 1);
    },
  );

  check("ensure() attaches a shared volume to many, and tasks have shared ones only", async (bench) => {
    const { runtime, artifact, endless } = bench;
    const shared: Partial<RunSettings> = {
      volumes: {
        data: { path: "/var/lib/data", sharing: "exclusive", snapshot: false },
        files: { path: "/var/lib/files", sharing: "shared", snapshot: false },
      },
    };
    const set = suiteSet(artifact, shared, 1);
    await runtime.ensure(set, web(1, 1), signal);
    await runtime.startTask(set, taskOf(endless), signal);
    const others = suiteSet(artifact, { volumes: { files: { path: "/f", sharing: "shared", snapshot: false } } }, 2);
    await runtime.ensure(others, web(2, 1), signal);
    assert.equal((await runtime.observe()).filter(({ phase }) => phase === "running").length, 4);
    const inspected = await runtime.inspect(`${set.name}-run-1` as InstanceName);
    const mounts = inspected?.observed.mounts.join("\n") ?? "";
    assert.match(mounts, /\/var\/lib\/files/);
    assert.doesNotMatch(mounts, /\/var\/lib\/data/);
    assert.deepEqual(inspected?.observed.mounts, inspected?.expected.mounts);
  });

  check("close() refuses while an instance runs", async ({ runtime }, set) => {
    await runtime.ensure(set, web(1, 1), signal);
    await assert.rejects(runtime.close(), { code: "RUNTIME_FAILED" });
    assert.equal((await runtime.observe())[0]?.phase, "running");
    await runtime.remove([`${set.name}-1` as InstanceName], 0, signal);
    await runtime.close();
  });
}
