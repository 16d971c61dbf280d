import { CommanderError, type Command } from "commander";
import { OperatorError } from "../errors/operator-error.ts";

/** Runs a command with its arguments. @throws {OperatorError} `USAGE` for those that it does not take; what the command throws */
export async function runCommand(command: Command, args: readonly string[]): Promise<void> {
  try {
    await prepare(command).parseAsync(args, { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and such were printed.
    if (thrown.exitCode !== 0) throw usageError(thrown, command, args);
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

function usageError(error: CommanderError, command: Command, args: readonly string[]): OperatorError {
  if (error.code === "commander.help" || (error.code === "commander.unknownOption" && isGroup(command, args))) {
    return new OperatorError("USAGE", "Cannot run this command line: it names a group, not what to do", {
      hint: `\`bronze ${command.name()} --help\` shows what belongs to it`,
    });
  }
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  return new OperatorError("USAGE", `Cannot run this command line: ${message}`, {
    hint: suggestion === undefined ? "--help shows what the command takes" : suggestion.replace(/^\((.*)\)$/, "$1"),
  });
}
