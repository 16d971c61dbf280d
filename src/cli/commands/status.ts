import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { StatusReport } from "../../model/api/status.ts";
import { renderStatus } from "../../render/status.ts";
import { createContext, untilInterrupted, withTarget, type Context, type TargetOptions } from "../context.ts";

interface StatusOptions extends TargetOptions {
  readonly at?: string;
  readonly watch?: boolean;
}

const watchEveryMs = 1000;

export function statusCommand(): Command {
  return withTarget(new Command("status"))
    .description(
      "Shows each environment: what is live, its instances, the four figures, and what a rollback would do now.",
    )
    .option("--at <time>", "as it was then: 2026-08-01T12:00:00Z, or 10m for ten minutes ago")
    .option("--watch", "again every second, until Ctrl-C")
    .action(async (options: StatusOptions) => {
      const context = createContext(options, options.watch === true ? untilInterrupted : null);
      const { environment, at } = options;
      if (environment !== undefined && options.app === undefined) {
        const { findTargets } = await import("../project.ts");
        const targets = await findTargets(context, options);
        const app = targets.length === 1 ? targets[0].app : undefined;
        await show(context, { app, environment, at: await parseAt(at) }, options.watch === true);
        return;
      }
      await show(context, { app: options.app, environment, at: await parseAt(at) }, options.watch === true);
    });
}

async function show(
  context: Context,
  query: {
    readonly app?: string | undefined;
    readonly environment?: string | undefined;
    readonly at: number | undefined;
  },
  watch: boolean,
): Promise<void> {
  const { client, output, signal } = context;
  for (;;) {
    const report = await client.get<StatusReport>("/v1/status", query, signal);
    if (watch && process.stdout.isTTY) process.stdout.write("\u001b[H\u001b[2J");
    for (const line of renderStatus(report, output.paint)) output.line(line);
    output.record(report);
    if (!watch) return;
    const { setTimeout: sleep } = await import("node:timers/promises");
    await sleep(watchEveryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function parseAt(text: string | undefined): Promise<number | undefined> {
  if (text === undefined) return undefined;
  const moment = /^[0-9]{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (moment > Date.now()) {
    throw new OperatorError("USAGE", `Cannot show the status at "${text.slice(0, 80)}": it has not come yet`, {
      hint: "leave --at out for the status now",
    });
  }
  if (Number.isFinite(moment)) return moment;
  const { parseDurationMs } = await import("../../model/quantities.ts");
  try {
    return Date.now() - parseDurationMs(text);
  } catch (cause) {
    throw new OperatorError("USAGE", `Cannot use "${text.slice(0, 80)}" as a moment`, {
      hint: "write 2026-08-01T12:00:00Z, or 10m for ten minutes ago",
      cause,
    });
  }
}
