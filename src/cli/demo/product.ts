import { basename } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { EnvironmentStatus, StatusReport } from "../../model/api/status.ts";
import { createApiClient } from "../api-client.ts";
import { runShown, type Ended } from "./child.ts";
import type { OwnPlace } from "./place.ts";
import type { Screen } from "./screen.ts";

/** Bronze as a user has it: the command, and the daemon's API for looking often. */
export interface Product {
  /** Runs `bronze …` in the project's folder and shows it. */
  bronze(...args: readonly string[]): Promise<Ended & { readonly elapsedMs: number }>;
  status(): Promise<EnvironmentStatus>;
  /** Looks every few ms until it is as wanted. @throws {OperatorError} `INTERNAL` naming what was waited for, after `timeoutMs` */
  until(what: string, timeoutMs: number, wanted: (status: EnvironmentStatus) => boolean): Promise<EnvironmentStatus>;
  /** Where clients reach the app; known once something is live. */
  address(): Promise<{ readonly host: string; readonly port: number }>;
}

export function createProduct(launcher: string, place: OwnPlace, screen: Screen, signal: AbortSignal): Product {
  const client = createApiClient(place.places.socket);
  const env = { ...process.env, BRONZE_STATE: place.places.state, NO_COLOR: "1" };
  const status = async (): Promise<EnvironmentStatus> => {
    const report = await client.get<StatusReport>("/v1/status", { app: "shop", environment: "production" }, signal);
    const [environment] = report.environments;
    if (environment === undefined) throw new Error("the daemon knows nothing of shop in production");
    return environment;
  };
  return {
    bronze: async (...args) => {
      screen.command(`${basename(launcher)} ${args.join(" ")}`);
      const startedAt = performance.now();
      const ended = await runShown(launcher, args, { cwd: place.project, env, line: screen.echo, signal });
      return { ...ended, elapsedMs: performance.now() - startedAt };
    },
    status,
    until: async (what, timeoutMs, wanted) => {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const now = await status();
        if (wanted(now)) return now;
        if (performance.now() > deadline) {
          throw new OperatorError(
            "INTERNAL",
            `Cannot go on with the demo: waited ${timeoutMs / 1000} s in vain until ${what}`,
            {
              hint: `run \`bronze demo\` again; if it comes back, report it with the log in ${place.places.log}`,
            },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
    },
    address: async () => {
      const { hostname, port } = new URL((await status()).url ?? "");
      return { host: hostname, port: Number(port || 80) };
    },
  };
}
