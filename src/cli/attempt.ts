import { asOperatorError, type OperatorError } from "../errors/operator-error.ts";
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
    return report(asOperatorError(thrown), argv);
  }
}

/** `bronze logs | head`: the reader went away, which is no fault. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(Number(process.exitCode ?? 0));
}

function report(error: OperatorError, argv: readonly string[]): number {
  if (error.details === untilInterrupted) return error.exitStatus;
  if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ error: error.toJSON() })}\n`);
  process.stderr.write(`${renderError(error, createPaint(process.stderr.isTTY, process.env))}\n`);
  if (process.env["BRONZE_DEBUG"] && error.code === "INTERNAL")
    process.stderr.write(`${error.cause instanceof Error ? error.cause.stack : error.stack}\n`);
  return error.exitStatus;
}
