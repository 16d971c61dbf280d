import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { fromErrorRecord, OperatorError } from "../../errors/operator-error.ts";
import { printable } from "../../errors/redact.ts";
import type { LogLine } from "../../model/api/asked.ts";
import type { RunLine, RunRequest, RunResult } from "../../model/api/runs.ts";
import { parseReleaseNumber } from "../../model/names.ts";
import { commandText } from "../../model/tasks.ts";
import { ConnectionLost, isUnreachable } from "../api-client.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { findTarget } from "../project.ts";
import { whoAsks } from "../who.ts";

interface RunOptions extends TargetOptions {
  readonly release?: number;
  readonly process?: string;
  readonly why?: string;
}

/** How long a daemon that went away is waited for, in ms. */
const reconnectMs = 10_000;

export function runCommand(): Command {
  return withTarget(new Command("run"))
    .description(
      "Runs a command in a one-off instance of what is live, outside traffic, and shows what it writes. Ctrl-C ends it; that the daemon ends does not.",
    )
    .argument("<command...>", "what to run, after --: program and arguments, no shell takes them apart")
    .option("--release <release>", "of this release's content in place of the live one's", parseReleaseNumber)
    .option("--process <name>", "with the resources and volumes of this process")
    .option("-m, --why <text>", "why, for the record")
    .action(async (command: readonly string[], options: RunOptions) => {
      const context = createContext(options, "the command is ended; what it wrote is kept: `bronze logs`");
      const target = await findTarget(context, options);
      const body: RunRequest = {
        ...target,
        who: whoAsks(),
        why: options.why ?? "",
        command,
        ...(options.release === undefined ? {} : { release: options.release }),
        ...(options.process === undefined ? {} : { like: options.process }),
        request: crypto.randomUUID(),
        seen: 0,
      };
      const result = await follow(context, body);
      if (result.status !== 0) {
        throw new OperatorError("COMMAND_FAILED", `Cannot run ${commandText(command)}: it ${result.finding}`, {
          hint: `what it wrote is kept: \`bronze logs ${result.instance}\``,
          details: result,
        });
      }
      context.output.record({ kind: "result", ...result });
    });
}

/** Shows what the command writes until it ends, also across a restart of the daemon. */
async function follow(context: Context, body: RunRequest): Promise<RunResult> {
  const { output, signal } = context;
  const state = { seen: 0, instance: "" };
  let deadline = Number.POSITIVE_INFINITY;
  for (;;) {
    try {
      return await followOnce(context, body, state, () => (deadline = Number.POSITIVE_INFINITY));
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof ConnectionLost) && !(isUnreachable(thrown) && state.instance !== "")) throw thrown;
      if (deadline === Number.POSITIVE_INFINITY) {
        output.note(`the daemon went away; trying for ${reconnectMs / 1000} s to reach it again`);
        deadline = performance.now() + reconnectMs;
      }
      if (performance.now() > deadline) throw gone(state.instance, thrown);
    }
    await sleep(100, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function followOnce(
  { client, output, signal }: Context,
  body: RunRequest,
  state: { seen: number; instance: string },
  onReached: () => void,
): Promise<RunResult> {
  const lines = client.stream<RunLine>("POST", "/v1/run", { body: { ...body, seen: state.seen } }, signal);
  for await (const line of lines) {
    onReached();
    switch (line.kind) {
      case "started":
        if (state.instance === "") output.note(output.paint.dim(`  ${line.instance}: ${commandText(body.command)}`));
        state.instance = line.instance;
        break;
      case "output":
        state.seen += 1;
        if (output.json) output.record(line);
        else show(line.line);
        break;
      case "result":
        return line.result;
      case "error":
        throw fromErrorRecord(line.error);
    }
  }
  throw new ConnectionLost(true);
}

/** As it was written; on a terminal, what would steer it is made visible. */
function show({ stream, text }: LogLine): void {
  const to = stream === "stdout" ? process.stdout : process.stderr;
  to.write(`${to.isTTY ? printable(text) : text}\n`);
}

function gone(instance: string, cause: unknown): OperatorError {
  const known = instance !== "";
  return new OperatorError("DAEMON_UNREACHABLE", `Cannot follow the command: no answer for ${reconnectMs / 1000} s`, {
    hint: known
      ? `it goes on by itself; when the daemon runs again (\`bronze serve\`): \`bronze logs -f ${instance}\`, \`bronze history\``
      : "see `bronze history` for whether it was begun when the daemon runs again (`bronze serve`)",
    cause,
  });
}
