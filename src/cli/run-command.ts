import { CommanderError, type Command } from "commander";
import { asOperatorError, OperatorError } from "../errors/operator-error.ts";
import { createPaint } from "../render/paint.ts";
import { renderError } from "../render/error.ts";
import { untilInterrupted } from "./context.ts";

/** Does what a command line asks for; what is thrown is told to people. @returns the exit status */
export async function attempt(argv: readonly string[], work: () => Promise<void>): Promise<number> {
  process.stdout.on("error", endQuietly);
  process.stderr.on("error", endQuietly);
  try {
    await work();
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    return report(thrown instanceof CommanderError ? usageError(thrown) : asOperatorError(thrown), argv);
  }
}

/** Commander's own messages and exits become ours. */
export function prepare(command: Command): Command {
  command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .configureHelp({ commandUsage: fullUsage });
  for (const sub of command.commands) prepare(sub);
  return command;
}

function fullUsage(command: Command): string {
  const names: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
  return `bronze ${names.join(" ")} ${command.usage()}`;
}

/** `bronze logs | head`: the reader went away, which is no fault. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(Number(process.exitCode ?? 0));
}

function usageError(error: CommanderError): OperatorError {
  if (error.code === "commander.help") {
    return new OperatorError("USAGE", "Cannot run this command line: it names a group, not what to do", {
      hint: "--help shows what belongs to it",
    });
  }
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  return new OperatorError("USAGE", `Cannot run this command line: ${message}`, {
    hint: suggestion === undefined ? "--help shows what the command takes" : suggestion.replace(/^\((.*)\)$/, "$1"),
  });
}

function report(error: OperatorError, argv: readonly string[]): number {
  if (error.details === untilInterrupted) return error.exitStatus;
  if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ error: error.toJSON() })}\n`);
  process.stderr.write(`${renderError(error, createPaint(process.stderr.isTTY, process.env))}\n`);
  if (process.env["BRONZE_DEBUG"] && error.code === "INTERNAL")
    process.stderr.write(`${error.cause instanceof Error ? error.cause.stack : error.stack}\n`);
  return error.exitStatus;
}
