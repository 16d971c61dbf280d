import { CommanderError, type Command } from "commander";
import { OperatorError } from "../errors/operator-error.ts";

/** Runs a command with its arguments. @throws {OperatorError} `USAGE` for those that it does not take; what the command throws */
export async function runCommand(command: Command, args: readonly string[]): Promise<void> {
  try {
    await prepare(command).parseAsync(args, { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and such were printed.
    if (thrown.exitCode !== 0) throw usageError(thrown, isGroup(command, args));
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

/** Whether a command that only holds others is given options, and none of those. */
function isGroup(command: Command, args: readonly string[]): boolean {
  const words = new Set(command.commands.flatMap((sub) => [sub.name(), ...sub.aliases()]));
  return words.size > 0 && args.every((arg) => !words.has(arg)) && args[0]?.startsWith("-") === true;
}

/** @param namesGroup whether it is said what it is about, and not what is to be done */
function usageError(error: CommanderError, namesGroup: boolean): OperatorError {
  if (error.code === "commander.help" || (namesGroup && error.code === "commander.unknownOption")) {
    return new OperatorError("USAGE", "Cannot run this command line: it names a group, not what to do", {
      hint: "--help shows what belongs to it",
    });
  }
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  return new OperatorError("USAGE", `Cannot run this command line: ${message}`, {
    hint: suggestion === undefined ? "--help shows what the command takes" : suggestion.replace(/^\((.*)\)$/, "$1"),
  });
}
