import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ask } from "../../src/drivers/haproxy/admin.ts";
import { layoutOf } from "../../src/drivers/haproxy/layout.ts";
import { findSupervisor, type SupervisorStatus } from "../../src/drivers/haproxy/supervisor.ts";
import { Executions } from "../../src/load/executions.ts";
import type { EnvironmentStatus } from "../../src/model/api/status.ts";
import { placesOf } from "../../src/model/places.ts";
import { createSite, eventually, type Site, type DeployResult } from "./bronze.ts";
import { dyingApp, startDeathLoad, type DeathLoad, type DeathReport } from "./deaths-load.ts";
import { writeNodeApp } from "./node-app.ts";

/** A site under load whose processes are killed. */
export interface DeathSite {
  readonly site: Site;
  readonly load: DeathLoad;
  readonly url: string;
  /** Process id of an instance's conmon. */
  supervisorOf(instance: string): number;
  routerProcesses(): Promise<SupervisorStatus & { readonly worker: number }>;
  /** Waits until all wanted instances serve, none of them among `gone`, and nothing is on its way. */
  replaced(gone: readonly string[]): Promise<EnvironmentStatus>;
  /** A window of the load, after what was open at the kill has ended. Fails when anything was executed twice. */
  report(): Promise<DeathReport>;
}

/** Writes the app in a version of its own. @param startMs how long it takes until it listens */
export function writeDyingApp(site: Site, version: string, startMs = 0): void {
  writeNodeApp(site, version);
  site.write({ "app/server.js": `// ${version}\nconst startMs = ${startMs};\n${dyingApp}` });
}

/** Makes a site with `instances` of the app under load; taken down when the test ends. */
export async function createDeathSite(t: Pick<TestContext, "after">, instances: number): Promise<DeathSite> {
  const loads: DeathLoad[] = [];
  const site = createSite({
    // The load ends first: what is taken down under it would be asked for until its time-outs.
    after: (end) =>
      t.after(async () => {
        for (const load of loads) await load.stop();
        await (end as () => unknown)();
      }),
  });
  const places = placesOf(site.state);
  const layout = layoutOf(places);
  writeDyingApp(site, "1");
  site.define({ instances, environment: ["rollback: { watch: 0s }"] });
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  const load = startDeathLoad(url);
  loads.push(load);
  const executions = new Executions(join(places.log, "instances"));
  await settled();
  load.window();

  return {
    site,
    load,
    url,
    supervisorOf: (instance) =>
      Number(readFileSync(join(places.run, "instances", instance, "conmon.pid"), "utf8").trim()),
    async routerProcesses() {
      const status = await findSupervisor(layout);
      assert.ok(status !== undefined, "the router's supervisor answers");
      const worker = Number(/^Pid: ([0-9]+)$/m.exec(await ask(layout.admin, "show info"))?.[1]);
      return { ...status, worker };
    },
    async replaced(gone) {
      let status = await site.status();
      await eventually(
        `${gone.join(", ")} replaced`,
        async () => {
          status = await site.status();
          const names = status.instances.filter(({ role }) => role === "live").map(({ name }) => name as string);
          return (
            status.rollout === null &&
            status.healthy === status.wanted &&
            names.length === status.wanted &&
            !names.some((name) => gone.includes(name))
          );
        },
        90_000,
      );
      return status;
    },
    async report() {
      await settled();
      const report = load.window();
      await executions.scan();
      const sent = [...report.nonces];
      const { never, twice } = executions.wrong({
        uploaded: sent.filter(([, answered]) => answered).map(([nonce]) => nonce),
        uploadFailures: sent.filter(([, answered]) => !answered).map(([nonce]) => nonce),
      });
      assert.equal(twice, 0, "a request with a body was executed twice");
      assert.equal(never, 0, "a request was answered that was not executed");
      return report;
    },
  };
}

/** Longer than any request of the load takes that nothing happens to. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 700));
}
