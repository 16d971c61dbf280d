import { Command } from "commander";
import { withShared, type SharedOptions } from "../context.ts";
import type { HttpOptions } from "../daemon-start.ts";

export function serveCommand(): Command {
  return withHttp(withShared(new Command("serve")))
    .description(
      "Runs the daemon in the foreground until SIGTERM; it finds running instances again and brings back what is missing.",
    )
    .action(async (options: SharedOptions & HttpOptions) => {
      const { serveDaemon } = await import("../serve-daemon.ts");
      try {
        await serveDaemon({
          state: options.state ?? (process.env["BRONZE_STATE"] || undefined),
          httpHost: options.httpHost,
          httpPort: options.httpPort,
        });
      } finally {
        // What a daemon that could not start had begun must not keep the process.
        setTimeout(() => process.exit(), endMs).unref();
      }
    });
}

/** Time in which the error is printed, in ms. */
const endMs = 500;

/** Adds where the router listens when this command starts the daemon. */
export function withHttp(command: Command): Command {
  return command
    .option(
      "--http-host <address>",
      "address the router listens on, when this starts the daemon (default: as before, at first 0.0.0.0)",
    )
    .option(
      "--http-port <port>",
      "port the router listens on, when this starts the daemon (default: as before, at first 80; 0 takes a free one)",
    );
}
