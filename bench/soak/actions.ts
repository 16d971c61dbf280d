import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConnectionLost } from "../../src/cli/api-client.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import type { Digest } from "../../src/model/canonical.ts";
import type { Kind, LoadReport } from "../../src/load/protocol.ts";
import type { Bronze } from "../lib/bronze.ts";

/** What a soak does to a running system: what a person asks for, and what goes wrong by itself. */
export const actionNames = [
  "deploy",
  "rollback",
  "scale",
  "kill instance",
  "kill conmon",
  "kill haproxy",
  "kill supervisor",
  "kill daemon",
] as const;
export type ActionName = (typeof actionNames)[number];

export interface World {
  readonly bronze: Bronze;
  readonly artifacts: readonly Digest[];
  /** The next random number from 0 up to, not including, `below`. */
  readonly random: (below: number) => number;
}

export const mostInstances = 5;

/** Answers that are right when things happen at the same time: superseded, nothing to go back to, the daemon or a new instance was killed. */
const rightAnswers = new Set([
  "ROLLOUT_SUPERSEDED",
  "ROLLOUT_FAILED",
  "ROLLOUT_UNHEALTHY",
  "NO_ROLLBACK_TARGET",
  "DAEMON_UNREACHABLE",
]);

/** Does it. @returns what it was done to or what was answered, for the log */
export async function act(name: ActionName, world: World): Promise<string> {
  try {
    return await carryOut(name, world);
  } catch (error) {
    if (error instanceof ConnectionLost) return error.message;
    if (error instanceof OperatorError && rightAnswers.has(error.code)) return error.message;
    throw error;
  }
}

async function carryOut(name: ActionName, { bronze, artifacts, random }: World): Promise<string> {
  switch (name) {
    case "deploy": {
      const index = random(artifacts.length);
      const instances = 2 + random(mostInstances - 1);
      const { result } = await bronze.deploy(artifacts[index] as Digest, {}, { instances, watchMs: 2_000 });
      return `content ${index + 1} × ${instances}: v${result.release}${result.created ? "" : ", live already"}`;
    }
    case "rollback": {
      const { result } = await bronze.rollback();
      return `v${result.release} (= v${result.of}), ${result.warm ? "warm" : "cold"}`;
    }
    case "scale": {
      const instances = 2 + random(mostInstances - 1);
      await bronze.scale(instances);
      return `to ${instances}`;
    }
    case "kill instance":
    case "kill conmon": {
      const { instances } = await bronze.status();
      const running = instances.filter(({ pid }) => pid !== null);
      const one = running[random(running.length)];
      if (one === undefined || one.pid === null) return "none runs";
      const pid = name === "kill instance" ? one.pid : await parentOf(one.pid);
      kill(pid);
      return `${one.name} (${one.role}), process ${pid}`;
    }
    case "kill haproxy":
    case "kill supervisor": {
      const pids = await routerProcesses(bronze.places.state, name === "kill supervisor");
      const pid = pids[random(pids.length)];
      if (pid === undefined) return "none runs";
      kill(pid);
      return `process ${pid} of ${pids.length}`;
    }
    case "kill daemon": {
      await bronze.killDaemon();
      const { pid } = await bronze.startDaemon();
      return `now process ${pid}`;
    }
  }
}

/** How many failures of each kind of client an action explains, given the clients there are. */
function explained(
  name: ActionName,
  clients: Readonly<Partial<Record<Kind, number>>>,
): Readonly<Partial<Record<Kind, number>>> {
  const only = (...kinds: readonly Kind[]) => Object.fromEntries(kinds.map((kind) => [kind, clients[kind] ?? 0]));
  switch (name) {
    case "kill instance":
      // A response that had begun, or a request with a body: it cannot be sent elsewhere.
      return only("slow response", "upload", "stream", "websocket");
    case "kill conmon":
      // The app may trip over its closed output while it handles an upload: that is when it writes.
      return only("slow response", "upload", "stream", "websocket");
    case "kill haproxy":
      // Every connection that was open ends with it; each client has one.
      return clients;
    default:
      return {};
  }
}

/** Failures beyond what these actions explain, in words; none: all were. A refused connection is, only where both holders of the socket were killed at once. */
export function unexplained(
  report: LoadReport,
  names: readonly ActionName[],
  clients: Readonly<Partial<Record<Kind, number>>>,
): readonly string[] {
  const allowances = names.map((name) => explained(name, clients));
  // Two of them may be all there are: then nobody is left to send to, and each client may meet both as they die.
  if (names.filter((name) => name === "kill instance").length > 1) allowances.push(clients, clients);
  return report.kinds.flatMap(({ kind, failed, reasons }) => {
    // While nobody listens a client is refused as often as it asks.
    const most = isSocketLost(names) ? Infinity : allowances.reduce((sum, one) => sum + (one[kind] ?? 0), 0);
    const never = [...neverExplained(names)].filter((reason) => (reasons[reason] ?? 0) > 0);
    if (failed <= most && never.length === 0) return [];
    const why = Object.entries(reasons).map(([reason, count]) => `${count} × ${reason}`);
    return [`${kind}: ${failed} failed (${why.join(", ")}), at most ${most} explained`];
  });
}

/** What a line says that is lost with the one who was to write it down is not known; all else is. */
function neverExplained(names: readonly ActionName[]): readonly string[] {
  const never = ["executed twice"];
  if (!names.includes("kill conmon")) never.push("not executed");
  if (!isSocketLost(names)) never.push("refused");
  return never;
}

/** Both that hold the listening socket were killed at the same time. */
function isSocketLost(names: readonly ActionName[]): boolean {
  return names.includes("kill haproxy") && names.includes("kill supervisor");
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It ended by itself since it was looked up.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

/** HAProxy's master and workers of a state folder, or what holds their sockets. */
async function routerProcesses(state: string, supervisor: boolean): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const program = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(join(state, "")) && program === (supervisor ? "perl" : "haproxy")) found.push(pid);
  }
  return found;
}
