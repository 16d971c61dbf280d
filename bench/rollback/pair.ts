import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { goFirst } from "../../src/linux/priority.ts";
import { startProbe, type Probe } from "../../src/load/process.ts";
import type { Takeover } from "../../src/load/probe.ts";
import type { Digest } from "../../src/model/canonical.ts";
import type { RunSettings } from "../../src/model/content.ts";
import { demoApp, loadMain, nodeProject, staticProject, type Bronze } from "../lib/bronze.ts";
import { needs } from "../lib/packages.ts";

export const instances = 4;
/** After the result, the prober goes on this long: no other content may answer any more. */
const afterMs = 200;
/** Time the prober has to come into its stride before it matters. */
export const settleMs = 500;

/** Two contents of one app: `[restored, replaced]`, and the texts that tell their answers apart. */
export interface Pair {
  readonly artifacts: readonly [Digest, Digest];
  readonly contents: readonly [string, string];
  readonly settings: Partial<RunSettings>;
}

const limited = { resources: { memoryBytes: 256 * 2 ** 20, cpu: 0.5, pids: 256 } };
/** Without a limit on the CPU: what is measured is the router's and the daemon's. */
export const unlimited: Partial<RunSettings> = { resources: { ...limited.resources, cpu: null } };

export const nodeCopies = { "package.json": join(demoApp, "package.json"), "server.js": join(demoApp, "server.js") };
const siteCopies = { busybox: needs.busybox.path };

export async function nodePair(bronze: Bronze): Promise<Pair> {
  return {
    artifacts: [
      await bronze.build("node-1", nodeProject("1"), nodeCopies),
      await bronze.build("node-2", nodeProject("2"), nodeCopies),
    ],
    contents: ["x-version: 1", "x-version: 2"],
    settings: limited,
  };
}

export async function sitePair(bronze: Bronze): Promise<Pair> {
  return {
    artifacts: [
      await bronze.build("site-1", staticProject("content one"), siteCopies),
      await bronze.build("site-2", staticProject("content two"), siteCopies),
    ],
    contents: ["content one", "content two"],
    settings: limited,
  };
}

/** Waits for what the prober saw: a request in flight on the replaced content may still take its time. */
export async function takenOver(probe: Probe, askedAtMs: number): Promise<Takeover & { readonly atMs: number }> {
  const patience = performance.now() + 10_000;
  for (;;) {
    await sleep(afterMs);
    const takeover = await probe.takeover(0, askedAtMs);
    if (takeover.atMs !== null) return { ...takeover, atMs: takeover.atMs };
    if (performance.now() > patience) throw new Error("the replaced content still answered 10 s after the rollback");
  }
}

/** Goes before other work: it stands for clients on machines of their own. */
export async function proberOf(bronze: Bronze, pair: Pair, connections: number, everyMs: number): Promise<Probe> {
  const probe = await startProbe(loadMain, {
    ...bronze.address,
    hostHeader: "bench",
    path: "/",
    connections,
    everyMs,
    contents: pair.contents,
  });
  if (probe.pid !== undefined) goFirst(probe.pid);
  return probe;
}
