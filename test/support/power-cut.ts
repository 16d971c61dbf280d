import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createApiClient } from "../../src/cli/api-client.ts";
import type { Ping } from "../../src/model/api/asked.ts";
import { placesOf } from "../../src/model/places.ts";
import { removeNetworks } from "../../src/drivers/runc/network.ts";
import { cgroupFoldersOf, firewallLines, mountsOf, processesOf, remainsOf } from "./leaks.ts";

const daemonEntry = join(import.meta.dirname, "../../src/cli/daemon-entry.ts");

/** How much of each there was. */
export interface PowerCut {
  readonly processes: number;
  readonly mounts: number;
  readonly cgroups: number;
  readonly rules: number;
}

/**
 * What a power cut does to one state folder: all of its processes end at one moment, unasked; its mounts, namespaces,
 * interfaces, cgroups and firewall rules are gone. Nothing of any other state folder is touched.
 *
 * @param options.runFolder "gone", as on a /run in memory, or "kept", as where a state folder of its own holds it
 * @throws when something of it is still there afterwards
 */
export async function powerCut(
  stateDir: string,
  options: { readonly runFolder: "gone" | "kept" } = { runFolder: "gone" },
): Promise<PowerCut> {
  const places = placesOf(stateDir);
  let processes = 0;
  // Stopped first, so that none sees another's end and does something about it.
  for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
    const found = processesOf(places);
    processes = Math.max(processes, found.length);
    for (const { pid } of found) signalTo(pid, signal);
  }
  for (let found = processesOf(places); found.length > 0; found = processesOf(places)) {
    for (const { pid } of found) signalTo(pid, "SIGKILL");
    await sleep(10);
  }
  const mounts = mountsOf(places).map(({ target }) => target);
  for (const target of mounts.toReversed()) execFileSync("umount", ["--lazy", target]);
  const cgroups = cgroupFoldersOf(places).reduce((sum, folder) => sum + removeCgroups(folder), 0);
  const rules = firewallLines(places);
  await removeNetworks(places.tag);
  if (options.runFolder === "gone") rmSync(places.run, { recursive: true, force: true });
  for (let tries = 0; ; tries += 1) {
    const remains = remainsOf(stateDir).filter((line) => !line.startsWith("bundle "));
    if (remains.length === 0) break;
    if (tries === 500) throw new Error(`still there after a power cut: ${remains.join("; ")}`);
    await sleep(20);
  }
  return { processes, mounts: mounts.length, cgroups, rules: rules.length };
}

/** A daemon that a test started itself. */
export interface StartedDaemon {
  readonly ping: Ping;
  readonly child: ChildProcess;
  /** From the start of its process to its first answer. */
  readonly answeredMs: number;
}

/**
 * Starts the daemon as at boot: the kernel tells it of a boot that no daemon before it saw. That lie lives in a mount
 * namespace of its own, and ends with it.
 */
export async function bootDaemon(stateDir: string): Promise<StartedDaemon> {
  const places = placesOf(stateDir);
  const bootId = join(dirname(places.state), `boot-${randomUUID()}`);
  mkdirSync(places.log, { recursive: true });
  writeFileSync(bootId, `${randomUUID()}\n`);
  const log = openSync(join(places.log, "daemon.log"), "a", 0o640);
  const began = performance.now();
  const child = spawn(
    "unshare",
    [
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-c",
      'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"',
      "boot",
      bootId,
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      daemonEntry,
      "--state",
      places.state,
    ],
    { detached: true, cwd: "/", stdio: ["ignore", log, log] },
  );
  closeSync(log);
  const client = createApiClient(places.socket);
  while (child.exitCode === null && child.signalCode === null) {
    const ping = await client.get<Ping>("/v1/ping").catch(() => undefined);
    if (ping !== undefined) {
      child.unref();
      return { ping, child, answeredMs: performance.now() - began };
    }
    if (performance.now() - began > 60_000) break;
    await sleep(10);
  }
  throw new Error(`the daemon did not start; its log is ${places.log}/daemon.log`);
}

function signalTo(pid: number, signal: "SIGSTOP" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

function removeCgroups(folder: string): number {
  let count = 1;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) count += removeCgroups(join(folder, entry.name));
  rmdirSync(folder);
  return count;
}
