import { attempt } from "./attempt.ts";
import { rollbackCommand } from "./commands/rollback.ts";
import { statusCommand } from "./commands/status.ts";
import { runCommand } from "./run-command.ts";

const quick = { rollback: rollbackCommand, status: statusCommand };

/** Whether a command is over so soon that its start matters: it is loaded as one file. */
export type QuickCommand = keyof typeof quick;

/** Runs `bronze rollback …` and `bronze status …`. @returns the exit status */
export function run([name, ...rest]: readonly [QuickCommand, ...string[]]): Promise<number> {
  return attempt([name, ...rest], () => runCommand(quick[name](), rest));
}
