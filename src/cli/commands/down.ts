import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { DownRequest, DownResult } from "../../model/api/releases.ts";
import type { Places } from "../../model/places.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { ensureDaemon } from "../daemon-start.ts";
import { followDone, isAway } from "../follow.ts";
import { findTargets, type Target } from "../project.ts";
import { goesOn } from "../release.ts";
import { whoAsks } from "../who.ts";

interface DownOptions extends TargetOptions {
  readonly all?: boolean;
  readonly why?: string;
}

/** Longest time the daemon may take to end, in ms. */
const endMs = 30_000;

export function downCommand(): Command {
  return withTarget(new Command("down"))
    .description(
      "Ends an app's instances in an environment; with the last one also the router, the network and the daemon. Ledger, numbers, artifacts and volumes stay.",
    )
    .option("--all", "everything this daemon runs")
    .option("-m, --why <text>", "why, for the record")
    .action(async (options: DownOptions) => {
      const context = createContext(options, goesOn);
      const asked = { who: whoAsks(), why: options.why ?? "" };
      if (options.all === true) {
        // What a daemon started outlives it: only a daemon can take it down.
        if (outlives(context.places)) await ensureDaemon(context, {});
        if (await isDown(takeDown(context, { ...asked, all: true })))
          context.output.note("no daemon runs: nothing is up");
        await removeBuildLeftovers(context.places);
        context.output.line("everything is down; ledger, numbers, artifacts and volumes stay");
        context.output.record({ all: true });
        return;
      }
      // Who needs others goes before them.
      const targets = (await findTargets(context, options, "named")).toReversed();
      for (const target of targets) {
        await takeDown(context, { ...asked, ...target });
        context.output.line(`${target.app} ${target.environment} is down; ledger, numbers, artifacts and volumes stay`);
      }
      context.output.record(targets.length === 1 ? targets[0] : targets);
    });
}

/** What builds that were killed left on the machine needs no daemon to go. */
async function removeBuildLeftovers({ state }: Places): Promise<void> {
  const { buildLeftovers } = await import("../../daemon/build-leftovers.ts");
  for (const { remove } of await buildLeftovers(state)) await remove();
}

/** Asks, and waits until the daemon is gone where nothing is left for it to do: only then is all of it down. */
async function takeDown(
  context: Context,
  body: Omit<DownRequest, "app" | "environment"> & Partial<Target>,
): Promise<void> {
  const { endingPid } = await followDone<DownResult>(context, "/v1/down", body);
  const deadline = performance.now() + endMs;
  while (endingPid !== null && isAlive(endingPid)) {
    if (performance.now() > deadline) {
      throw new OperatorError(
        "DAEMON_UNREACHABLE",
        `Cannot take the daemon down: process ${endingPid} still runs after ${endMs / 1000} s`,
        {
          hint: "see daemon.log in the log folder; all apps are down already",
        },
      );
    }
    await sleep(20, undefined, { signal: context.signal });
  }
}

/** Whether instances or the router of this state folder are there, with or without a daemon. */
function outlives({ run }: Places): boolean {
  const read = <Value>(look: () => Value, otherwise: Value): Value => {
    try {
      return look();
    } catch {
      return otherwise;
    }
  };
  const instances = read(() => readdirSync(join(run, "instances")).length, 0);
  const router = read(() => Number(readFileSync(join(run, "router", "supervisor.pid"), "utf8")), 0);
  return instances > 0 || (router > 0 && isAlive(router));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** True when no daemon runs at all: what was asked for holds already. */
async function isDown(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (thrown) {
    if (isAway(thrown) && missing(thrown.cause)) return true;
    throw thrown;
  }
}

function missing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
