import { CommanderError, type Command } from "commander";
import { asOperatorError, OperatorError } from "../errors/operator-error.ts";
import { nearestName } from "../model/nearest.ts";
import { createPaint } from "../render/paint.ts";
import { renderError } from "../render/error.ts";
import { untilInterrupted } from "./context.ts";
import { commands, type CommandEntry } from "./commands.ts";
import { renderHelp } from "./help.ts";
import { version } from "../daemon/version.ts";

/** Runs one command line. @returns the exit status */
export async function run(argv: readonly string[]): Promise<number> {
  process.stdout.on("error", endQuietly);
  process.stderr.on("error", endQuietly);
  try {
    const { before, name, rest } = splitArguments(argv);
    if (name === undefined || name === "help") return await runHelp(name === undefined ? before : rest);
    const command = prepare(await entryOf(name).load());
    await command.parseAsync([...before, ...rest], { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    return report(thrown instanceof CommanderError ? usageError(thrown) : asOperatorError(thrown), argv);
  }
}

/** `bronze logs | head`: the reader went away, which is no fault. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(Number(process.exitCode ?? 0));
}

/** Options of every command may stand before its name. */
function splitArguments(argv: readonly string[]): {
  readonly before: readonly string[];
  readonly name: string | undefined;
  readonly rest: readonly string[];
} {
  let index = 0;
  while (index < argv.length && argv[index]?.startsWith("-") === true) index += argv[index] === "--state" ? 2 : 1;
  return { before: argv.slice(0, index), name: argv[index], rest: argv.slice(index + 1) };
}

function entryOf(name: string): CommandEntry {
  const entry = commands.find((one) => one.name === name);
  if (entry !== undefined) return entry;
  const near = nearestName(
    name,
    commands.map((one) => one.name),
  );
  throw new OperatorError("USAGE", `Cannot run "${name.slice(0, 80)}": there is no such command`, {
    hint:
      near === undefined
        ? "`bronze --help` shows the commands, `bronze help --all` all of them"
        : `did you mean \`bronze ${near}\`?`,
  });
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

async function runHelp(args: readonly string[]): Promise<number> {
  const unknown = args.find(
    (argument) =>
      argument.startsWith("-") && !["-h", "--help", "--all", "-V", "--version", "--json"].includes(argument),
  );
  if (unknown !== undefined) {
    throw new OperatorError("USAGE", `Cannot run bronze: unknown option "${unknown}" and no command`, {
      hint: "`bronze --help` shows what there is",
    });
  }
  if (args.includes("--version") || args.includes("-V")) {
    process.stdout.write(`${args.includes("--json") ? JSON.stringify({ version }) : version}\n`);
    return 0;
  }
  const name = args.find((argument) => !argument.startsWith("-"));
  if (name === undefined) process.stdout.write(`${renderHelp(args.includes("--all")).join("\n")}\n`);
  else prepare(await entryOf(name).load()).outputHelp();
  return 0;
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
