import { buildCommand } from "./commands/build.ts";
import { attempt, prepare } from "./run-command.ts";

/** Runs `bronze build …`. @returns the exit status */
export function run(argv: readonly string[]): Promise<number> {
  return attempt(argv, async () => void (await prepare(buildCommand()).parseAsync(argv.slice(1), { from: "user" })));
}
