import { existsSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { measureCache } from "../../build/cache/sweep.ts";
import type { Ping } from "../../model/api/asked.ts";
import { formatBytes } from "../../model/quantities.ts";
import { systemMachine } from "../../drivers/system/machine.ts";
import type { Context } from "../context.ts";
import { cacheBounds } from "../cache-bounds.ts";
import { isSystemdRunning } from "../install/systemd.ts";
import { unitName } from "../install/unit.ts";
import { readHttp } from "../remembered-http.ts";
import { wayIn } from "../../drivers/volumes/copy.ts";
import { volumeFolder } from "../../drivers/volumes/layout.ts";
import { wayTexts } from "../../render/volumes.ts";
import { fail, ok, warn, type Finding } from "./finding.ts";
import { tryCommand } from "./try-command.ts";

const leastMemoryBytes = 256 * 1024 * 1024;
const leastDiskBytes = 1024 ** 3;

/** Network, memory, disk and the daemon. */
export async function checkSurroundings(context: Context): Promise<readonly Finding[]> {
  const daemon = await context.client.get<Ping>("/v1/ping", {}, context.signal).catch(() => undefined);
  return [
    daemon === undefined
      ? ok("daemon", "none runs; `bronze up` starts it")
      : ok("daemon", `process ${daemon.pid}, requests at ${daemon.url}`),
    await checkBoot(context),
    await checkPort(context, daemon),
    await checkForward(),
    await checkLinks(),
    checkMemory(),
    checkDisk(context.places.state),
    await checkBuildCache(context.places.state),
    checkVolumes(context.places),
  ];
}

/** What snapshots of volumes cost here; tried with a file, where one can be written. */
function checkVolumes(places: Context["places"]): Finding {
  const name = "volumes";
  const folder = [volumeFolder(places), places.state].find((path) => existsSync(path));
  if (folder === undefined || process.getuid?.() !== 0)
    return ok(name, "snapshots are told once the state folder is there");
  return ok(name, `snapshots are ${wayTexts[wayIn(folder)]}`);
}

async function checkBuildCache(state: string): Promise<Finding> {
  const { bytes, capacityBytes } = await measureCache(join(state, "cache"), cacheBounds().cacheBytes);
  return ok("build cache", `${formatBytes(bytes)} of at most ${formatBytes(capacityBytes)}`);
}

async function checkBoot({ places }: Context): Promise<Finding> {
  const name = "start at boot";
  if (!isSystemdRunning()) return ok(name, "no systemd here: start `bronze serve` by what starts services");
  const unit = unitName(places);
  const { ok: enabled } = await tryCommand("systemctl", ["is-enabled", "--quiet", unit]);
  return enabled
    ? ok(name, unit)
    : warn(name, "nothing starts the daemon when the machine boots", "run `bronze install`");
}

async function checkPort(context: Context, daemon: Ping | undefined): Promise<Finding> {
  if (daemon !== undefined) return ok("port", `${new URL(daemon.url).port || "80"}, held by the router`);
  const { host, port } = readHttp(context.places) ?? { host: "0.0.0.0", port: 80 };
  if (port === 0) return ok("port", "a free one is taken");
  const problem = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
  if (problem === undefined) return ok("port", `${port} is free`);
  if (problem === "EACCES") return warn("port", `${port} cannot be tried without root`, "run `bronze doctor` as root");
  return warn(
    "port",
    `${port} is in use`,
    "end what listens there (`ss -ltnp`), or choose another with `bronze up --http-port PORT`",
  );
}

async function checkForward(): Promise<Finding> {
  const { ok: worked, text } = await tryCommand("iptables", ["-S", "FORWARD"]);
  if (!worked) {
    const advice = "run as root on a kernel with netfilter";
    return process.getuid?.() === 0
      ? fail("forwarding", text.split("\n")[0] ?? "iptables does not work", advice)
      : warn("forwarding", "unknown without root", "run `bronze doctor` as root");
  }
  const policy = /^-P FORWARD (\w+)/m.exec(text)?.[1] ?? "unknown";
  return ok(
    "forwarding",
    policy === "ACCEPT" ? "policy ACCEPT" : `policy ${policy}; Bronze adds accept rules of its own for instances`,
  );
}

/** In a network namespace that ends with the command: nothing is left. */
async function checkLinks(): Promise<Finding> {
  if (process.getuid?.() !== 0) return warn("bridge and veth", "unknown without root", "run `bronze doctor` as root");
  for (const words of [
    ["name", "bzdoctor", "type", "bridge"],
    ["name", "bzdoctor", "type", "veth", "peer", "name", "bzdoctor1"],
  ]) {
    const { ok: worked, text } = await tryCommand("unshare", ["-n", "ip", "link", "add", ...words]);
    if (!worked)
      return fail(
        "bridge and veth",
        text.split("\n")[0] ?? "refused",
        "use a kernel with CONFIG_BRIDGE and CONFIG_VETH, and run with CAP_NET_ADMIN",
      );
  }
  return ok("bridge and veth", "work");
}

function checkMemory(): Finding {
  const { totalBytes, availableBytes } = systemMachine.memory();
  const found = `${formatBytes(availableBytes)} of ${formatBytes(totalBytes)} available`;
  return availableBytes >= leastMemoryBytes
    ? ok("memory", found)
    : warn("memory", found, "free some: warm instances need memory of their own");
}

function checkDisk(state: string): Finding {
  for (let folder = state; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = statfsSync(folder);
      const free = bavail * bsize;
      const found = `${formatBytes(free)} free for ${state}`;
      return free >= leastDiskBytes
        ? ok("disk", found)
        : warn("disk", found, "free some: each artifact is kept whole, and once more as images");
    } catch (thrown) {
      if (folder === "/")
        return fail(
          "disk",
          `${state} cannot be looked at: ${(thrown as Error).message}`,
          "name another state folder with --state",
        );
    }
  }
}
