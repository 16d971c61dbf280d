import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import { placesOf } from "../src/model/places.ts";
import { createSite, eventually } from "./support/bronze.ts";

/** What of a state folder is on the machine: all that `down` must take away. */
function traces(state: string, pids: readonly number[]): Record<string, readonly string[]> {
  const { tag } = placesOf(state);
  const lines = (file: string, args: readonly string[]): string[] =>
    execFileSync(file, args, { encoding: "utf8" }).split("\n");
  const mine = (line: string): boolean => line.includes(tag) || line.includes(state);
  const processes: string[] = [];
  const files: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      if (command.includes(state) && Number(pid) !== process.pid) processes.push(command);
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
        if (target.startsWith(state)) files.push(`${pid}: ${target}`);
      }
    } catch {
      // The process ended while it was looked at.
    }
  }
  const namespaces = pids.filter((pid) => existsSync(`/proc/${pid}/ns/net`)).map(String);
  const cgroups = execFileSync("find", ["/sys/fs/cgroup", "-type", "d", "-name", `*${tag}*`], {
    encoding: "utf8",
  }).split("\n");
  return {
    processes,
    files,
    namespaces,
    mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(mine),
    links: lines("ip", ["-o", "link"]).filter((line) => mine(line) || line.includes(`bz${tag}`)),
    addresses: lines("ip", ["-o", "addr"]).filter((line) => line.includes(`bz${tag}`)),
    rules: [...lines("iptables", ["-S"]), ...lines("iptables", ["-t", "nat", "-S"])].filter((line) =>
      line.toLowerCase().includes(tag),
    ),
    cgroups: cgroups.filter(Boolean),
  };
}

test(
  "after down nothing is left: processes, mounts, namespaces, addresses, cgroups, rules, open files",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    const before = traces(site.state, []);
    await site.json(["up", "--http-port", "0"]);
    site.write({ "root/www/index.html": "v2\n" });
    await site.json(["up"]);
    const pids = (await site.status()).instances.flatMap(({ pid }) => pid ?? []);
    const during = traces(site.state, pids);
    for (const kind of ["processes", "mounts", "links", "rules", "cgroups", "namespaces"])
      assert.ok((during[kind] ?? []).length > 0, `${kind} while up`);
    const down = await site.bronze(["down"]);
    assert.equal(down.status, 0, down.stderr);
    await eventually(
      "every trace is gone",
      () => JSON.stringify(traces(site.state, pids)) === JSON.stringify(before),
      15_000,
    ).catch(() => {
      assert.deepEqual(traces(site.state, pids), before);
    });
    assert.equal(existsSync(join(site.state, "ledger.sqlite")), true);
    const again = await site.json<{ release: number }>(["up", "--http-port", "0"]);
    assert.equal(again.release, 3);
  },
);

test("an `up` whose daemon ended while it built starts another one", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  const { daemon } = await site
    .json<StatusReport>(["up", "--http-port", "0"])
    .then(() => site.json<StatusReport>(["status"]));
  // Asked for the commit in the middle of a build, it lets the daemon end first.
  site.write(
    {
      "bin/git": `#!/bin/sh\nif kill ${daemon.pid} 2>/dev/null; then while kill -0 ${daemon.pid} 2>/dev/null; do sleep 0.05; done; fi\nPATH="\${PATH#*:}" exec git "$@"\n`,
    },
    0o755,
  );
  site.write({ "root/www/index.html": "v2\n" });
  const up = await site.bronze(["up"], {
    env: { PATH: `${join(site.project, "bin")}:${process.env["PATH"] ?? ""}` },
  });
  assert.equal(up.status, 0, up.stderr);
  const after = await site.json<StatusReport>(["status"]);
  assert.notEqual(after.daemon.pid, daemon.pid);
  assert.equal(after.environments[0]?.live?.release, 2);
});
