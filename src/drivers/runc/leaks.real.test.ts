import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { InstanceName } from "../../model/names.ts";
import { createBench, eventually, putHttpImage, putPatientImage, supervisorOf, type Bench } from "./fixture.suite.ts";
import { web } from "../../ports/runtime.suite.ts";

/** Everything on this machine that carries our mark; on a machine shared with others, what is theirs is not counted. */
function traces(bench: Bench): { readonly [kind: string]: number | readonly string[] } {
  const { tag, state } = bench.places;
  const lines = (program: string, ...args: readonly string[]): readonly string[] =>
    execFileSync(program, args, { encoding: "utf8" }).split("\n");
  const processes: string[] = [];
  const namespaces = new Set<string>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    try {
      if (/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) continue;
      const ours =
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(state) ||
        readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`bronze-${tag}`);
      if (!ours) continue;
      processes.push(pid);
      for (const kind of ["pid", "net", "mnt", "ipc", "uts"]) namespaces.add(readlinkSync(`/proc/${pid}/ns/${kind}`));
    } catch {
      // It ended while it was looked at.
    }
  }
  for (const kind of ["pid", "net", "mnt", "ipc", "uts"]) namespaces.delete(readlinkSync(`/proc/self/ns/${kind}`));
  return {
    processes: processes.length,
    namespaces: namespaces.size,
    mounts: readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(state)),
    interfaces: readdirSync("/sys/class/net").filter((name) => name.includes(tag)),
    addresses: lines("ip", "-o", "addr").filter((line) => line.includes(tag)),
    routes: lines("ip", "route").filter((line) => line.includes(tag)),
    rules: [...lines("iptables-save")].filter((line) => line.includes(tag)),
    cgroups: readdirSync("/sys/fs/cgroup")
      .flatMap((tree) => [join("/sys/fs/cgroup", tree, `bronze-${tag}`)])
      .concat(`/sys/fs/cgroup/bronze-${tag}`)
      .filter((path) => existsSync(path)),
    loops: readdirSync("/sys/block").filter(
      (name) =>
        existsSync(`/sys/block/${name}/loop/backing_file`) &&
        readFileSync(`/sys/block/${name}/loop/backing_file`, "utf8").includes(state),
    ),
    openFiles: readdirSync("/proc/self/fd")
      .flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/self/fd/${fd}`)];
        } catch {
          return [];
        }
      })
      .filter((target) => target.includes(state)),
    watches: readdirSync("/proc/self/fd")
      .flatMap((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === "anon_inode:inotify"
            ? readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")
                .split("\n")
                .filter((line) => line.startsWith("inotify")).length
            : [];
        } catch {
          return [];
        }
      })
      .reduce((sum, count) => sum + count, 0),
    runFolder: existsSync(bench.places.run) ? readdirSync(bench.places.run) : [],
  };
}

test("after start, kill, failure, remove and close nothing is left", async () => {
  const bench = await createBench();
  const before = traces(bench);
  const runtime = await bench.runtime();
  try {
    const set = bench.set(await putHttpImage(bench.store), { tmpfs: ["/var/cache"] });
    const other = bench.set(await putPatientImage(bench.store), {}, 2);
    await runtime.ensure(set, web(4, 1), bench.signal);
    await runtime.ensure(other, web(2, 1), bench.signal);
    await assert.rejects(
      runtime.ensure(bench.set(set.content.artifact, { command: ["/nothing"] }, 3), web(2, 1), bench.signal),
    );
    const seen = await runtime.observe();
    assert.equal(seen.length, 6);
    const during = traces(bench);
    assert.ok(Number(during["processes"]) >= 12 && Number(during["namespaces"]) >= 24, JSON.stringify(during));
    process.kill(seen[0]?.pid ?? 0, "SIGKILL");
    await eventually(async () => ((await runtime.observe())[0]?.phase === "exited" ? true : undefined));
    await runtime.remove(
      seen.slice(0, 3).map(({ name }) => name),
      0,
      bench.signal,
    );
    await runtime.remove(
      seen.slice(3).map(({ name }) => name),
      3_000,
      bench.signal,
    );
  } finally {
    const names = (await runtime.observe()).map(({ name }) => name);
    await runtime.remove(names, 0, bench.signal);
    await runtime.close();
  }
  const after = await eventually(async () => {
    const now = traces(bench);
    return JSON.stringify(now) === JSON.stringify({ ...before, runFolder: [] }) ? now : undefined;
  }).catch(() => traces(bench));
  assert.deepEqual(after, { ...before, runFolder: [] });
  const again = await bench.runtime();
  await bench.end(again);
});

test("a daemon killed in the middle of starts leaves what the next one finds, ends and removes", async () => {
  const bench = await createBench();
  let runtime = await bench.runtime();
  try {
    const artifact = await putPatientImage(bench.store);
    const set = bench.set(artifact);
    const settings = JSON.stringify({ state: bench.places.state, artifact });
    for (const delayMs of [5, 20, 40, 60, 80, 100, 130, 160]) {
      runtime.stop();
      const child = spawn(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "starter.suite.ts"), settings],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await Promise.race([ended, new Promise((resolve) => child.stdout.once("data", resolve))]);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      child.kill("SIGKILL");
      await ended;
      runtime = await bench.runtime();
      const found = await runtime.observe();
      const unfit = found.filter(({ phase }) => phase !== "running").map(({ name }) => name);
      await runtime.remove(unfit, 0, bench.signal);
      await runtime.ensure(set, web(4, 1), bench.signal);
      const seen = await runtime.observe();
      assert.deepEqual(
        seen.map(({ phase }) => phase),
        ["running", "running", "running", "running"],
        JSON.stringify(seen),
      );
      // One that was recorded and waited to be let run does run.
      await eventually(async () =>
        seen.every(({ pid }) => !readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("runc")) ? true : undefined,
      );
      assert.equal(new Set(seen.map(({ address }) => address)).size, seen.length);
      const names = seen.map(({ name }) => name);
      await runtime.remove(names, 0, bench.signal);
    }
  } finally {
    await bench.end(runtime);
  }
  const left = traces(bench);
  assert.deepEqual(
    [left["processes"], left["mounts"], left["interfaces"], left["cgroups"], left["rules"]],
    [0, [], [], [], []],
  );
});

test("an instance whose supervisor was killed writes on, and what it writes is in its log", async () => {
  const bench = await createBench();
  const first = await bench.runtime();
  let runtime = first;
  try {
    const script = "trap 'exit 0' TERM; n=0; while echo line $n; do n=$((n+1)); usleep 2000; done; exit 9";
    const set = bench.set(await putPatientImage(bench.store), { command: ["/bin/sh", "-c", script] });
    const name = `${set.name}-1` as InstanceName;
    const lines = async (): Promise<number[]> =>
      (await runtime.facts(name)).logTail.flatMap((line) => Number(/^line (\d+)$/.exec(line)?.[1] ?? []));
    const writesOn = async (): Promise<number[]> => {
      const before = (await lines()).at(-1) ?? 0;
      return eventually(async () => {
        const now = await lines();
        return (now.at(-1) ?? 0) > before + 60 ? now : undefined;
      });
    };
    const assertWhole = (tail: readonly number[]): void =>
      assert.deepEqual(
        tail,
        tail.map((_, index) => (tail[0] ?? 0) + index),
      );
    await runtime.ensure(set, web(1, 1), bench.signal);
    assertWhole(await writesOn());
    process.kill(supervisorOf(bench.places, name), "SIGKILL");
    assertWhole(await writesOn());

    // Another daemon finds the pipes by what the instance itself holds. Both read for a moment and share the lines.
    runtime = await bench.runtime();
    first.stop();
    await writesOn();
    assert.deepEqual(
      (await runtime.observe()).map(({ phase, orphaned }) => [phase, orphaned]),
      [["running", true]],
    );
    await runtime.remove([name], 1_000, bench.signal);
    assert.deepEqual(await runtime.observe(), []);
  } finally {
    await bench.end(runtime);
  }
});
