import { attempt } from "./attempt.ts";
import { buildHere, buildDefaults } from "./build-here.ts";

/** Runs `bronze build …`. @returns the exit status */
export function run(argv: readonly string[]): Promise<number> {
  return attempt(argv, async () => {
    // Mostly it stands alone, and there is no command line to be understood.
    if (argv.length === 1) return buildHere(buildDefaults);
    const { buildCommand } = await import("./commands/build.ts");
    const { runCommand } = await import("./run-command.ts");
    await runCommand(buildCommand(), argv.slice(1));
  });
}
