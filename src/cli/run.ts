import { OperatorError } from "../errors/operator-error.ts";
import { nearestName } from "../model/nearest.ts";
import { attempt } from "./attempt.ts";
import { commands, type CommandEntry } from "./commands.ts";
import { renderHelp } from "./help.ts";
import { prepare, runCommand } from "./run-command.ts";
import { version } from "../daemon/version.ts";

/** Runs one command line. @returns the exit status */
export function run(argv: readonly string[]): Promise<number> {
  return attempt(argv, async () => {
    const { before, name, rest } = splitArguments(argv);
    if (name === undefined || name === "help") return runHelp(name === undefined ? before : rest);
    await runCommand(await entryOf(name).load(), [...before, ...rest]);
  });
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

async function runHelp(args: readonly string[]): Promise<void> {
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
    return;
  }
  const name = args.find((argument) => !argument.startsWith("-"));
  if (name === undefined) process.stdout.write(`${renderHelp(args.includes("--all")).join("\n")}\n`);
  else prepare(await entryOf(name).load()).outputHelp();
}
