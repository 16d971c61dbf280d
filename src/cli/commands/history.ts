import { Command } from "commander";
import type { LedgerEvent } from "../../ledger/event.ts";
import { renderHistory } from "../../render/history.ts";
import { createContext, withTarget, type TargetOptions } from "../context.ts";
import { parseCount } from "../numbers.ts";
import { findTarget } from "../project.ts";

interface HistoryOptions extends TargetOptions {
  readonly limit: number;
  readonly all?: boolean;
}

export function historyCommand(): Command {
  return withTarget(new Command("history"))
    .description("Shows what happened in an environment, from the ledger, oldest first.")
    .option("-n, --limit <count>", "the last so many events", parseCount, 100)
    .option("--all", "of all apps and environments, and of the daemon itself")
    .action(async (options: HistoryOptions) => {
      const context = createContext(options);
      const target = options.all === true ? {} : await findTarget(context, options);
      const events = await context.client.get<readonly LedgerEvent[]>(
        "/v1/history",
        { ...target, limit: options.limit },
        context.signal,
      );
      for (const line of renderHistory(events)) context.output.line(line);
      context.output.record(events);
    });
}
