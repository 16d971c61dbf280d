import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { controllerFile } from "../../linux/cgroups.ts";
import { sha256 } from "../../model/canonical.ts";
import type { RunSettings } from "../../model/content.ts";
import type { InstanceName } from "../../model/names.ts";
import {
  busyboxLayer,
  createBench,
  eventually,
  layerTar,
  putImage,
  putPatientImage,
  type Bench,
} from "./fixture.suite.ts";
import type { RuncRuntime } from "./runtime.ts";
import { web } from "../../ports/runtime.suite.ts";

interface Tried {
  readonly bench: Bench;
  readonly runtime: RuncRuntime;
  readonly name: InstanceName;
  readonly pid: number;
  /** What the script wrote, up to its line "done". */
  readonly said: readonly string[];
}

/** Runs a script as an instance and hands over what it said. */
async function tryScript(
  script: string,
  settings: Partial<RunSettings>,
  config: { readonly [key: string]: unknown },
  use: (tried: Tried) => Promise<void> | void,
): Promise<void> {
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const artifact = await putImage(bench.store, { layers: [layerTar(busyboxLayer)], config });
    const set = bench.set(artifact, {
      ...settings,
      command: ["/bin/sh", "-c", `${script}\necho done; exec sleep 1000`],
    });
    await runtime.ensure(set, web(1, 1), bench.signal);
    const [instance] = await runtime.observe();
    assert.ok(instance?.pid);
    const { name, pid } = instance;
    const said = await eventually(async () => {
      const { logTail, exit } = await runtime.facts(name);
      assert.equal(exit, null, logTail.join("\n"));
      return logTail.at(-1) === "done" ? logTail.slice(0, -1) : undefined;
    });
    await use({ bench, runtime, name, pid, said });
  } finally {
    await bench.end(runtime);
  }
}

test("an instance's root refuses every write, its tmpfs folders take them", async () => {
  await tryScript(
    "for f in /x /etc/x /bin/busybox /etc/hosts /etc/resolv.conf /www/index.html; do touch $f 2>/dev/null && echo wrote $f; done; mount -o remount,rw / 2>/dev/null && echo remounted; touch /tmp/x /var/cache/app/x && echo scratch",
    { tmpfs: ["/var/cache/app"] },
    {},
    ({ said }) => assert.deepEqual(said, ["scratch"]),
  );
  // Also one that nobody prepared a folder for, and that is not root.
  await tryScript(
    "touch /tmp/x /var/cache/app/x /www/x && echo scratch; id -u",
    { tmpfs: ["/var/cache/app", "/www"] },
    { User: "1000:1000" },
    ({ said }) => assert.deepEqual(said, ["scratch", "1000"]),
  );
});

test("an instance has no capabilities, no new privileges, and a system call filter", async () => {
  await tryScript(
    "cat /proc/self/status; unshare -U true 2>/dev/null && echo unshared; mount -t tmpfs none /tmp 2>/dev/null && echo mounted",
    {},
    {},
    ({ said }) => {
      const status = new Map(said.map((line) => line.split(/:\s+/, 2) as [string, string]));
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
        assert.equal(status.get(set), "0000000000000000", set);
      assert.equal(status.get("NoNewPrivs"), "1");
      assert.equal(status.get("Seccomp"), "2");
      assert.ok(!said.includes("unshared") && !said.includes("mounted"));
    },
  );
});

test("declared capabilities are kept, also for a user other than root", async () => {
  await tryScript("cat /proc/self/status", { capabilities: ["CAP_NET_BIND_SERVICE"] }, { User: "app" }, ({ said }) => {
    assert.ok(said.includes("CapEff:\t0000000000000400"), said.join("\n"));
    assert.ok(said.includes("CapBnd:\t0000000000000400"));
  });
});

test("an instance runs as the image's user with its groups, environment, folder and host name", async () => {
  await tryScript(
    "id; pwd; hostname; env",
    { port: 9000 },
    { User: "app", WorkingDir: "/srv/deep/work", Env: ["FROM_IMAGE=1", "BRONZE_RELEASE=v99"] },
    ({ said, name }) => {
      assert.match(said[0] ?? "", /^uid=1000\(app\) gid=1000\(app\) groups=(1000\(app\),)?2000\(extra\)$/);
      assert.deepEqual(said.slice(1, 3), ["/srv/deep/work", name]);
      for (const line of [
        "FROM_IMAGE=1",
        "HOME=/home/app",
        "PORT=9000",
        "BRONZE_APP=shop",
        "BRONZE_ENV=production",
        "BRONZE_RELEASE=v1",
        `BRONZE_INSTANCE=${name}`,
      ])
        assert.ok(said.includes(line), line);
    },
  );
});

test("memory, CPU, process and open-file limits are in effect", async () => {
  await tryScript(
    "ulimit -n",
    { resources: { memoryBytes: 32 * 1024 * 1024, cpu: 0.5, pids: 20 } },
    {},
    ({ bench, name, said }) => {
      const group = `bronze-${bench.places.tag}/shop-production/${name}`;
      const read = (v1: string, v2: string): string => {
        for (const path of [
          `/sys/fs/cgroup/${v1.split("/")[0]}/${group}/${v1.split("/")[1]}`,
          `/sys/fs/cgroup/${group}/${v2}`,
        ]) {
          try {
            return readFileSync(path, "utf8").trim();
          } catch {
            // The other version's file.
          }
        }
        return assert.fail(`neither ${v1} nor ${v2}`);
      };
      assert.equal(read("memory/memory.limit_in_bytes", "memory.max"), String(32 * 1024 * 1024));
      assert.match(read("cpu/cpu.cfs_quota_us", "cpu.max"), /^50000/);
      assert.equal(read("pids/pids.max", "pids.max"), "20");
      assert.ok(Number(said[0]) <= 65_536);
    },
  );
});

test("an instance killed at its memory limit says so", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const artifact = await putImage(bench.store, { layers: [layerTar(busyboxLayer)] });
    const set = bench.set(artifact, {
      command: ["/bin/sh", "-c", "x=$(head -c 64000000 /dev/zero | tail -c 63000000 | tr '\\0' x); echo $x"],
      resources: { memoryBytes: 16 * 1024 * 1024, cpu: null, pids: 20 },
    });
    await runtime.ensure(set, web(1, 1), bench.signal);
    const [exited] = await eventually(async () =>
      (await runtime.observe())[0]?.phase === "exited" ? runtime.observe() : undefined,
    );
    assert.equal(exited?.exit?.outOfMemory, true, JSON.stringify(exited));
  } finally {
    await bench.end(runtime);
  }
});

test("inspect() names a process that entered, by exec or nsenter, and it alone", async () => {
  await tryScript("true", {}, {}, async ({ bench, runtime, name, pid }) => {
    const entries = [
      ["runc", `--root=${bench.places.run}/runc`, "exec", name, "/bin/sleep", "777"],
      ["nsenter", "--target", String(pid), "--pid", "--mount", "/bin/sleep", "778"],
      ["nsenter", "--target", String(pid), "--net", "sleep", "779"],
    ] as const;
    for (const [program, ...args] of entries) {
      const seconds = args.at(-1) ?? "";
      const child = spawn(program, args, { stdio: "ignore" });
      try {
        await eventually(async () =>
          (await runtime.inspect(name))?.observed.entered.find(
            ({ command }) => /^\S*sleep /.test(command) && command.endsWith(seconds),
          ),
        );
        for (const entered of (await runtime.inspect(name))?.observed.entered ?? [])
          process.kill(entered.pid, "SIGKILL");
      } finally {
        child.kill("SIGKILL");
      }
      await eventually(async () => ((await runtime.inspect(name))?.observed.entered.length === 0 ? true : undefined));
    }
  });
});

test("inspect() tells an added mount", async () => {
  await tryScript("true", {}, {}, async ({ runtime, name, pid }) => {
    execFileSync("nsenter", [
      "--target",
      String(pid),
      "--mount",
      "--root",
      "--wd",
      "/bin/busybox",
      "mount",
      "-t",
      "tmpfs",
      "none",
      "/www",
    ]);
    const inspected = await runtime.inspect(name);
    assert.ok(inspected !== null);
    assert.ok(inspected.observed.mounts.some((line) => line.startsWith("/www ")));
    assert.ok(!inspected.expected.mounts.some((line) => line.startsWith("/www ")));
  });
});

test("all instances of an app in an environment have no more together than its limits, which change while they run", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  const { app, environment } = bench.set(sha256("any"));
  const file = (controller: string, v1: string, v2: string): string => {
    const path = controllerFile(`bronze-${bench.places.tag}/shop-production`, controller, v1);
    assert.ok(path !== undefined);
    return readFileSync(existsSync(path) ? path : join(dirname(path), v2), "utf8").trim();
  };
  const limits = (): readonly string[] => [
    file("memory", "memory.limit_in_bytes", "memory.max"),
    file("cpu", "cpu.cfs_quota_us", "cpu.max").split(" ")[0] ?? "",
    file("pids", "pids.max", "pids.max"),
  ];
  try {
    const [wide, narrow] = [
      { memoryBytes: 256 * 2 ** 20, cpu: 1.5, pids: 64 },
      { memoryBytes: 128 * 2 ** 20, cpu: 0.5, pids: 24 },
    ];
    await runtime.confine(app, environment, wide, bench.signal);
    const artifact = await putPatientImage(bench.store);
    const set = bench.set(artifact, { resources: { memoryBytes: null, cpu: 4, pids: 256 } });
    await runtime.ensure(set, web(2, 1), bench.signal);
    assert.deepEqual(limits(), [String(wide.memoryBytes), "150000", "64"]);
    await runtime.confine(app, environment, narrow, bench.signal);
    assert.deepEqual(limits(), [String(narrow.memoryBytes), "50000", "24"]);
    await runtime.ensure(set, web(3, 3), bench.signal);
    // One more wants thirty processes: it gets those that are left.
    const command = ["/bin/sh", "-c", "i=0; while [ $i -lt 30 ]; do i=$((i+1)); sleep 1000 & done; wait"];
    const hungry = bench.set(artifact, { command }, 2);
    await runtime.ensure(hungry, web(1, 1), bench.signal);
    await eventually(async () => {
      const { logTail } = await runtime.facts(`${hungry.name}-1` as InstanceName);
      return logTail.some((line) => /fork/.test(line)) ? true : undefined;
    });
    await runtime.confine(app, environment, wide, bench.signal);
    assert.deepEqual(limits(), [String(wide.memoryBytes), "150000", "64"]);
    const names = (await runtime.observe()).map(({ name }) => name);
    await runtime.remove(names, 0, bench.signal);
    await runtime.confine(app, environment, null, bench.signal);
    assert.throws(limits, { code: "ENOENT" });
  } finally {
    await bench.end(runtime);
  }
});
