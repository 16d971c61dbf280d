import { Command } from "commander";
import { asOperatorError } from "../errors/operator-error.ts";
import { renderError } from "../render/error.ts";
import { createPaint } from "../render/paint.ts";
import { createContext, withShared, type SharedOptions } from "./context.ts";
import { conclude, runDemo } from "./demo/run.ts";
import { createScreen } from "./demo/screen.ts";

/** `bronze demo`: the promises, held on real processes, in a state folder of its own. */
export function demoCommand(): Command {
  return withShared(new Command("demo"))
    .description(
      "Shows the promises hold on this machine: deploys and rollbacks under load, faulty versions, drift, tampering. Takes everything down afterwards.",
    )
    .option("-y, --yes", "install missing packages without asking")
    .action(async (options: SharedOptions) => {
      const { output, signal } = createContext(options, "the demo was taken down");
      const screen = createScreen(output.json ? process.stderr : process.stdout);
      const stateDir = options.state ?? (process.env["BRONZE_STATE"] || undefined);
      output.record(await runDemo(screen, { signal, ...(stateDir === undefined ? {} : { stateDir }) }));
      try {
        conclude(screen);
      } catch (thrown) {
        // The result stays the last line of standard output, also when a promise did not hold.
        const error = asOperatorError(thrown);
        process.stderr.write(`${renderError(error, createPaint(process.stderr.isTTY === true, process.env))}\n`);
        process.exitCode = error.exitStatus;
      }
    });
}
