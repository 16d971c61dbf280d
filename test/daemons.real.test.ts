import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { dirname, join, relative } from "node:path";
import test from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import type { LedgerEvent } from "../src/ledger/event.ts";
import { createSite, eventually, get, launcher, type Site, type DeployResult } from "./support/bronze.ts";

const pidOf = async (site: Site): Promise<number> => (await site.json<StatusReport>(["status"])).daemon.pid;

const history = (site: Site): Promise<readonly LedgerEvent[]> =>
  site.json<readonly LedgerEvent[]>(["history", "--all", "-n", "1000"]);

function serve(
  site: Site,
  state = site.state,
): { readonly child: ChildProcess; readonly ended: Promise<number | null> } {
  const child = spawn(launcher, ["serve", "--state", state, "--http-port", "0"], { stdio: "ignore" });
  return { child, ended: new Promise((resolve) => child.once("exit", resolve)) };
}

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen(port, "0.0.0.0", () => resolve(server));
  });
}

const close = (server: Server): Promise<unknown> => new Promise((resolve) => server.close(resolve));

test(
  "a second daemon of a state folder exits 8 and says who has it, whatever way leads there",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const pid = await pidOf(site);
    const folder = dirname(site.state);
    symlinkSync(site.state, join(folder, "link"));
    mkdirSync(join(folder, "bound"));
    execFileSync("mount", ["--bind", site.state, join(folder, "bound")]);
    try {
      const ways = [site.state, relative(site.project, site.state), join(folder, "link"), join(folder, "bound")];
      for (const way of ways) {
        const { status, stderr } = await site.bronze(["serve", "--state", way]);
        assert.equal(status, 8, `${way}: ${stderr}`);
        assert.match(stderr, /error\[LOCKED\]/);
        assert.match(stderr, new RegExp(`process ${pid} holds it, which has run since 20\\d\\d-.*T.*Z \\(.*daemon`));
      }
      // Every way leads to the same daemon too.
      for (const way of ways) {
        const result = await site.bronze(["status", "--json", "--state", way]);
        assert.equal((JSON.parse(result.stdout) as StatusReport).daemon.pid, pid, way);
      }
      t.diagnostic(`${ways.length} ways refused, each naming process ${pid}`);
    } finally {
      execFileSync("umount", [join(folder, "bound")]);
    }
    assert.equal(await pidOf(site), pid);
    // What a daemon that was started through a link makes is found by one that was not.
    process.kill(pid, "SIGKILL");
    const again = await site.bronze(["up", "--json", "--state", join(folder, "link")]);
    assert.equal(again.status, 0, again.stderr);
    assert.equal((await get(url)).body, "v1\n");
    const { instances, healthy } = await site.status();
    assert.deepEqual([instances.length, healthy], [2, 2]);
    const tags = execFileSync("ip", ["-o", "link"], { encoding: "utf8" }).match(/bz[0-9a-f]{8}(?=:)/g) ?? [];
    assert.equal(new Set(tags).size, tags.length);
  },
);

test(
  "of daemons that start at the same moment exactly one runs, also after one was killed",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    for (let round = 0; round < 3; round += 1) {
      const daemons = [serve(site), serve(site), serve(site)];
      const ended: (number | null)[] = [];
      for (const one of daemons) void one.ended.then((status) => ended.push(status));
      await eventually("one runs and the others have ended", async () => {
        if (ended.length < 2) return false;
        return (await site.bronze(["status"])).status === 0;
      });
      assert.deepEqual(ended, [8, 8]);
      const winner = daemons.find(({ child }) => child.exitCode === null && child.signalCode === null);
      // Its ledger stays locked by nobody: a number that was written down somewhere would now be a dead process's.
      winner?.child.kill("SIGKILL");
      await winner?.ended;
    }
    t.diagnostic("3 races of 3: one daemon each");
  },
);

test("five `up` at once start one daemon and make one release", { timeout: 180_000 }, async (t) => {
  const site = createSite(t);
  const results = await Promise.all(Array.from({ length: 5 }, () => site.bronze(["up", "--json", "--http-port", "0"])));
  for (const { status, stderr } of results) assert.equal(status, 0, stderr);
  assert.deepEqual(
    (await site.releases()).map(({ release, state }) => [release, state]),
    [[1, "watching"]],
  );
  const events = await history(site);
  assert.equal(events.filter(({ data }) => data.kind === "daemon.started").length, 1);
  assert.equal((await site.json<{ ok: boolean }>(["audit", "verify"])).ok, true);
  t.diagnostic(
    `5 of 5 exited 0: 1 daemon, 1 release, slowest ${Math.round(Math.max(...results.map(({ ms }) => ms)))} ms`,
  );
});

test(
  "a taken port is refused with exit 11 and who has it; free again, all comes back",
  { timeout: 180_000 },
  async (t) => {
    const site = createSite(t);
    const taken = await listenOn(0);
    const { port } = taken.address() as { readonly port: number };
    const says = new RegExp(
      `Cannot listen on .*:${port} for the router: .*\\(process ${process.pid}\\) listens on port ${port}`,
    );

    const first = await site.bronze(["up", "--http-port", String(port)]);
    assert.equal(first.status, 11, first.stderr);
    assert.match(first.stderr, says);
    await close(taken);
    const { url } = await site.json<DeployResult>(["up", "--http-port", String(port)]);
    assert.equal(new URL(url).port, String(port));
    const before = await site.status();

    // As after a reboot in which another service was faster: daemon and router gone, the port another's.
    const daemon = await pidOf(site);
    const supervisor = Number(readFileSync(join(site.state, "run/router/supervisor.pid"), "utf8"));
    const haproxy = Number(readFileSync(join(site.state, "run/router/haproxy.pid"), "utf8"));
    for (const pid of [daemon, supervisor]) process.kill(pid, "SIGKILL");
    process.kill(-haproxy, "SIGKILL");
    let squatter: Server | undefined;
    await eventually("the port is free for another", async () => {
      squatter = await listenOn(port).catch(() => undefined);
      return squatter !== undefined;
    });
    for (const command of ["serve", "up"]) {
      const refused = await site.bronze([command]);
      assert.equal(refused.status, 11, refused.stderr);
      assert.match(refused.stderr, says);
    }
    if (squatter !== undefined) await close(squatter);
    await site.json(["up"]);
    const after = await site.status();
    assert.deepEqual(
      after.instances.map(({ name, pid }) => [name, pid]),
      before.instances.map(({ name, pid }) => [name, pid]),
    );
    assert.equal(after.url, url);
    assert.equal((await get(url)).body, "v1\n");
    t.diagnostic(`3 refusals naming port ${port} and process ${process.pid}; the instances went on`);
  },
);

test(
  "a port that was taken by chance is another one when it is another's after a reboot",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const port = Number(new URL(url).port);
    await site.bronze(["down", "--all"]);
    const squatter = await listenOn(port);
    try {
      const again = await site.json<DeployResult>(["up"]);
      assert.notEqual(new URL(again.url).port, String(port));
      assert.equal((await get(again.url)).body, "v1\n");
    } finally {
      await close(squatter);
    }
  },
);
