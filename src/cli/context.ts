import { statSync } from "node:fs";
import type { Command } from "commander";
import { OperatorError } from "../errors/operator-error.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import type { Places } from "../model/places.ts";
import { createApiClient, type ApiClient } from "./api-client.ts";
import { createOutput, type Output } from "./output.ts";
import { placesAt } from "./state-dir.ts";

/** Options that every command has. */
export interface SharedOptions {
  readonly json?: boolean;
  readonly state?: string;
}

/** Options of commands that are about one environment. */
export interface TargetOptions extends SharedOptions {
  readonly app?: string;
  readonly environment?: string;
  readonly file?: string;
}

/** What a command works with. */
export interface Context {
  readonly output: Output;
  readonly places: Places;
  readonly client: ApiClient;
  /** Aborts with `INTERRUPTED` at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

const interruption = new AbortController();

/** The end of what goes on until Ctrl-C: no fault to tell of. */
export const untilInterrupted = Symbol("until interrupted");

/** What still happens after Ctrl-C, in words for the hint: from the start, or only once the daemon was asked for it. */
export type GoesOn = string | { readonly onceAsked: string };

/** @param whatGoesOn null: nothing */
export function createContext(
  options: SharedOptions,
  whatGoesOn: GoesOn | typeof untilInterrupted | null = null,
): Context {
  const places = placesAt(options.state ?? (process.env["BRONZE_STATE"] || undefined));
  checkFolder(places);
  let hasAsked = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      const isAsked = whatGoesOn === untilInterrupted;
      const hint = hintAt(isAsked ? null : whatGoesOn, hasAsked);
      interruption.abort(
        new OperatorError("INTERRUPTED", "Cannot finish: interrupted", {
          hint,
          ...(isAsked ? { details: untilInterrupted } : {}),
        }),
      );
    });
  }
  return {
    output: createOutput({ stdout: process.stdout, stderr: process.stderr, env: process.env }, options.json === true),
    places,
    client: createApiClient(places.socket, () => (hasAsked = true)),
    signal: interruption.signal,
  };
}

function hintAt(whatGoesOn: GoesOn | null, hasAsked: boolean): string {
  if (typeof whatGoesOn === "string") return whatGoesOn;
  return whatGoesOn !== null && hasAsked
    ? whatGoesOn.onceAsked
    : "nothing was changed; run the command again when you like";
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when a file is where the state folder should be */
export function checkFolder({ state }: Places): void {
  if (statSync(state, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${state}" as the state folder: it is a file`, {
    hint: "name a folder with --state or BRONZE_STATE; it is made where there is none",
  });
}

/** Adds what every command has. */
export function withShared(command: Command): Command {
  return command
    .option("--json", "print the result as JSON")
    .option("--state <dir>", "state folder of the daemon (BRONZE_STATE; default /var/lib/bronze)")
    .helpOption("-h, --help", "show this help");
}

/** Adds how a command about one environment is told which. */
export function withTarget(command: Command): Command {
  return withShared(command)
    .option(
      "-e, --environment <name>",
      "environment (default: the definition's first without `from`)",
      parseEnvironmentName,
    )
    .option("--app <name>", "app (default: this folder's definition)", parseAppName)
    .option("--file <path>", "definition", "bronze.yaml");
}
