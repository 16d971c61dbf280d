import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { LedgerEvent } from "../../src/ledger/event.ts";
import { startLoad, type Load } from "../../src/load/process.ts";
import { createApiClient } from "../../src/cli/api-client.ts";
import type { RolloutStatus } from "../../src/model/api/rollouts.ts";
import type { EnvironmentStatus, StatusReport } from "../../src/model/api/status.ts";
import { placesOf } from "../../src/model/places.ts";
import { createSite, eventually, get, launcher, type CommandResult, type DeployResult, type Site } from "./bronze.ts";
import { nodeAppLoad, writeNodeApp } from "./node-app.ts";

const loadMain = join(import.meta.dirname, "../../src/load/main.ts");
export const instances = 4;

/** A site of four instances under load of every kind, whose versions are 1, 2, 3, …, one a release. */
export interface RolloutSite {
  readonly site: Site;
  readonly url: string;
  readonly load: Load;
  /** Writes the next version and puts it live in the background. */
  up(strategy: string): Promise<CommandResult>;
  /** The rollout under way, once it is as wanted. */
  rollout(what: string, wanted: (rollout: RolloutStatus) => boolean): Promise<RolloutStatus>;
  /** Ends the daemon by SIGKILL and starts another. */
  killDaemon(): Promise<void>;
  /** The version that answers a request. */
  version(headers?: Readonly<Record<string, string>>): Promise<number>;
  /** Events of a release, oldest first. */
  events(release: number): Promise<readonly LedgerEvent["data"][]>;
  /** Nothing failed since the last time, and only these versions answered. */
  nothingFailed(versions: readonly number[]): Promise<void>;
  /** Only instances of this release are left. */
  onlyLeft(release: number): Promise<void>;
}

export async function createRolloutSite(t: Pick<TestContext, "after">): Promise<RolloutSite> {
  const site = createSite(t);
  let written = 0;
  const write = (): void => {
    written += 1;
    writeNodeApp(site, String(written));
    const path = "app/server.js";
    const server = readFileSync(join(site.project, path), "utf8");
    const wait = 'if (route === "wait") return setTimeout(() => answer(response, 200, page), Number(argument));';
    site.write({ [path]: server.replace('  if (route === "slow")', `  ${wait}\n  if (route === "slow")`) });
  };
  write();
  site.define({
    instances,
    run: ["drain: 6s", "minReady: 300ms", "resources: { memory: 128Mi, cpu: 1, pids: 64 }"],
    environment: [
      "rollback: { keepWarm: 0s, watch: 0s }",
      "strategy: { blue-green: { hold: person, preview: next.shop.example } }",
    ],
  });
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  const load = await startLoad(loadMain, nodeAppLoad(url));
  t.after(() => load.kill());
  // Not by the command: what is looked at again and again would be most of what the machine does.
  const client = createApiClient(placesOf(site.state).socket);
  const report = (): Promise<StatusReport> => client.get<StatusReport>("/v1/status");
  const status = async (): Promise<EnvironmentStatus> =>
    (await report()).environments[0] ?? assert.fail("status knows no environment");
  return {
    site,
    url,
    load,
    async up(strategy) {
      write();
      return site.bronze(["up", "--strategy", strategy]);
    },
    async rollout(what, wanted) {
      let found: RolloutStatus | null = null;
      await eventually(what, async () => {
        ({ rollout: found } = await status());
        return found !== null && wanted(found);
      });
      return found ?? assert.fail("no rollout");
    },
    async killDaemon() {
      const before = (await report()).daemon.pid;
      process.kill(before, "SIGKILL");
      const next = spawn(launcher, ["serve", "--state", site.state, "--http-port", "0"], {
        stdio: "ignore",
        detached: true,
      });
      next.unref();
      await eventually("another daemon", () =>
        report().then(
          ({ daemon }) => daemon.pid !== before,
          () => false,
        ),
      );
    },
    async version(headers = {}) {
      const answer = await get(url, headers);
      const { body } = answer;
      assert.equal(answer.status, 200, body);
      return Number(/version ([0-9]+),/.exec(body)?.[1]);
    },
    async events(release) {
      const all = await site.json<readonly LedgerEvent[]>(["history", "-n", "2000"]);
      return all
        .toSorted((a, b) => a.seq - b.seq)
        .map(({ data }) => data)
        .filter((data) => "release" in data && data.release === release);
    },
    async nothingFailed(versions) {
      const counted = await load.window();
      assert.equal(counted.failed, 0, counted.examples.join("\n"));
      assert.deepEqual(Object.keys(counted.versions), versions.map(String));
    },
    async onlyLeft(release) {
      await eventually(`only v${release} is left`, async () => {
        const { rollout, instances: all } = await status();
        return rollout === null && all.every((one) => one.release === release);
      });
      const { live, healthy } = await status();
      assert.deepEqual([live?.release, healthy], [release, instances]);
    },
  };
}
