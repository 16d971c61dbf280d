import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerEvent } from "../src/ledger/event.ts";
import { machineMs } from "../src/load/probe.ts";
import type { RunSettings } from "../src/model/content.ts";
import { isSettled, startBronze, staticProject, type Bronze } from "./lib/bronze.ts";
import { figure, percentile, round, type BenchOptions, type BenchResult } from "./lib/figures.ts";
import { firstAnswer } from "./lib/first-answer.ts";
import { needs, require } from "./lib/packages.ts";
import { attempt } from "./lib/process.ts";

const defaultRuns = 30;

/** One instance of a mounted artifact, from the request's being accepted to healthy, against a bare `runc run`. */
export async function startBench({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  const bronze = await startBronze();
  const folder = await mkdtemp(join(tmpdir(), "bronze-bundle-"));
  try {
    const artifact = await bronze.build("site", staticProject("content"), { busybox: needs.busybox.path });
    const port = await freePort();
    // The bare one runs in the host's network, so the server listens on a port that is free there.
    const command = ["/bin/busybox", "httpd", "-f", "-p", String(port), "-h", "/www"];
    const settings = (drainMs: number): Partial<RunSettings> => ({ command, port, drainMs });
    const environment = { instances: 1, keepWarmMs: 0 };
    await bronze.deploy(artifact, settings(1000), environment);
    await bronze.until("the first instance is live", isSettled);

    const count = runs ?? defaultRuns;
    say(`${count} starts of one instance, the artifact mounted`);
    const ours: number[] = [];
    for (let i = 0; i < count; i += 1) {
      // Other settings are other content: a new instance of the same artifact.
      const { result } = await bronze.deploy(artifact, settings(1001 + i), environment);
      ours.push(await acceptedToHealthy(bronze, result.release));
      await bronze.until("it is settled", ({ rollout, healthy }) => rollout === null && healthy === 1);
    }

    say(`${count} times runc run of the same bundle`);
    const bundles = join(bronze.places.run, "instances");
    const { instances } = await bronze.until("one instance is left", (status) => status.instances.length === 1);
    const name = instances[0]?.name ?? "";
    await writeFile(
      join(folder, "config.json"),
      bareConfig(await readFile(join(bundles, name, "config.json"), "utf8")),
    );
    const bare: number[] = [];
    for (let i = 0; i < count; i += 1) bare.push(await runBare(folder, `bare-${process.pid}-${i}`, port));

    const versus = { name: "bare runc run", values: bare };
    const overheadMs = percentile(ours, 0.5) - percentile(bare, 0.5);
    return {
      figures: [
        figure("accepted_to_healthy_p50_ms", "ms", 0.5, ours, versus),
        { name: "overhead_ms", value: round(overheadMs), unit: "ms", runs: count },
      ],
      notes: ["bare runc: the same bundle and limits, in the host's network, without log, address or health check"],
    };
  } finally {
    await bronze.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** From the ledger's own times, which are whole ms. */
async function acceptedToHealthy(bronze: Bronze, release: number): Promise<number> {
  const events = await bronze.client.get<readonly LedgerEvent[]>("/v1/history", {
    app: "shop",
    environment: "production",
    limit: 100,
  });
  const accepted = events.find(({ data }) => data.kind === "release.created" && data.release === release);
  const healthy = events.find(
    ({ data, seq }) => data.kind === "instance.healthy" && seq > (accepted?.seq ?? Number.POSITIVE_INFINITY),
  );
  if (accepted === undefined || healthy === undefined)
    throw new Error(`the ledger does not tell how long v${release} took`);
  return healthy.atMs - accepted.atMs;
}

interface OciConfig {
  readonly linux: { readonly namespaces: readonly { readonly type: string }[]; readonly cgroupsPath?: string };
}

/** The same bundle without a network of its own, in a cgroup of its own. */
function bareConfig(text: string): string {
  const config = JSON.parse(text) as OciConfig;
  const namespaces = config.linux.namespaces.filter(({ type }) => type !== "network");
  return JSON.stringify({
    ...config,
    linux: { ...config.linux, namespaces, cgroupsPath: `/bronze-bare-${process.pid}` },
  });
}

async function runBare(bundle: string, id: string, port: number): Promise<number> {
  const state = join(bundle, "runc");
  const startedAtMs = machineMs();
  const child = spawn("runc", ["--root", state, "run", "--bundle", bundle, id], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text: Buffer) => void (said += text.toString()));
  const exit = new Promise<never>((_, reject) => {
    child.once("exit", () => reject(new Error(`runc run ended: ${said}`)));
    child.once("error", reject);
  });
  exit.catch(() => {});
  try {
    return (await Promise.race([firstAnswer({ host: "127.0.0.1", port }, 2), exit])) - startedAtMs;
  } finally {
    await attempt("runc", ["--root", state, "kill", id, "KILL"]);
    await attempt("runc", ["--root", state, "delete", "--force", id]);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", reject);
    holder.listen(0, "127.0.0.1", () => {
      const { port } = holder.address() as AddressInfo;
      holder.close(() => resolve(port));
    });
  });
}
