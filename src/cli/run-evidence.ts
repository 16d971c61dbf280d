import { attempt } from "./attempt.ts";
import { scanCommand } from "./commands/scan.ts";
import { verifyCommand } from "./commands/verify.ts";
import { runCommand } from "./run-command.ts";

const commands = { scan: scanCommand, verify: verifyCommand };

/** Commands that look at what lies beside an artifact: many are run, by people and by scripts, each over in a moment. */
export type EvidenceCommand = keyof typeof commands;

/** Runs `bronze scan …` and `bronze verify …`. @returns the exit status */
export function run([name, ...rest]: readonly [EvidenceCommand, ...string[]]): Promise<number> {
  return attempt([name, ...rest], () => runCommand(commands[name](), rest));
}
