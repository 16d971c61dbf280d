import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import { createContext, withTarget, type TargetOptions } from "../context.ts";
import { followDone } from "../follow.ts";
import { findTarget } from "../project.ts";
import { whoAsks } from "../who.ts";

interface DownOptions extends TargetOptions {
  readonly all?: boolean;
  readonly why?: string;
}

export function downCommand(): Command {
  return withTarget(new Command("down"))
    .description("Ends an app's instances in an environment; with the last one also the router, the network and the daemon. Ledger, numbers and artifacts stay.")
    .option("--all", "everything this daemon runs")
    .option("-m, --why <text>", "why, for the record")
    .action(async (options: DownOptions) => {
      const context = createContext(options, "what was asked for goes on in the daemon: look with `bronze status`");
      const asked = { who: whoAsks(), why: options.why ?? "" };
      if (options.all === true) {
        if (await isDown(followDone(context, "/v1/down", { ...asked, all: true }))) context.output.note("no daemon runs: nothing is up");
        context.output.line("everything is down; ledger, numbers and artifacts stay");
        context.output.record({ all: true });
        return;
      }
      const target = await findTarget(context, options);
      await followDone(context, "/v1/down", { ...asked, ...target });
      context.output.line(`${target.app} ${target.environment} is down; ledger, numbers and artifacts stay`);
      context.output.record(target);
    });
}

/** True when no daemon runs at all: what was asked for holds already. */
async function isDown(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (thrown) {
    if (thrown instanceof OperatorError && thrown.code === "DAEMON_UNREACHABLE" && thrown.details !== "final" && missing(thrown.cause)) return true;
    throw thrown;
  }
}

function missing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
