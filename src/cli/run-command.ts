import { CommanderError, type Command } from "commander";
import { OperatorError } from "../errors/operator-error.ts";

/** Runs a command with its arguments. @throws {OperatorError} `USAGE` for those that it does not take; what the command throws */
export async function runCommand(command: Command, args: readonly string[]): Promise<void> {
  try {
    await prepare(command).parseAsync(args, { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and such were printed.
    if (thrown.exitCode !== 0) throw usageError(thrown);
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
