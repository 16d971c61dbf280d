import { Option, type Command } from "commander";
import { OperatorError } from "../errors/operator-error.ts";
import type { DeployResult, ReleaseRow } from "../model/api/releases.ts";
import type { Definition } from "../model/definition.ts";
import { leftText } from "../model/tasks.ts";
import { formatDuration } from "../model/quantities.ts";
import { renderOverrides } from "../render/overrides.ts";
import { renderRelease } from "../render/status.ts";
import type { Context, TargetOptions } from "./context.ts";
import { follow } from "./follow.ts";
import type { Target } from "./project.ts";
import { parseStrategy, strategyHelp } from "./strategy-option.ts";

/** Options of commands that make a release. */
export interface ReleaseOptions extends TargetOptions {
  readonly why?: string;
  readonly wait?: "live" | "proven";
}

/** Options of commands that put something new live. */
export interface StrategyOptions {
  readonly strategy?: string;
  readonly plan?: boolean;
}

/** What Ctrl-C does not stop once the daemon was asked for it. */
export const goesOn = { onceAsked: "what was asked for goes on in the daemon: look with `bronze status`" };
/** The same of a new release. */
export const releaseGoesOn = { onceAsked: `${goesOn.onceAsked}, undo with \`bronze rollback\`` };

export function withReleaseOptions(command: Command): Command {
  return command
    .option("-m, --why <text>", "why, for the record")
    .addOption(
      new Option("--wait <moment>", "return when it is live, or when its watch has passed")
        .choices(["live", "proven"])
        .default("live"),
    );
}

export function withStrategy(command: Command): Command {
  return command
    .option("--strategy <strategy>", `how it takes over this time: ${strategyHelp}`)
    .option("--plan", "only show the steps that it would take, with instances and shares of the requests");
}

/**
 * An environment with the strategy that was asked for.
 *
 * @throws {OperatorError} `USAGE`
 */
export function environmentWith(environment: DefinedEnvironment, { strategy }: StrategyOptions): DefinedEnvironment {
  if (strategy === undefined) return environment;
  const { settings } = environment;
  return { ...environment, settings: { ...settings, strategy: parseStrategy(strategy, settings.strategy) } };
}

type DefinedEnvironment = Definition["environments"][number];

/** Prints the release that is live now; with `--wait proven` only after its watch has passed. */
export async function printRelease(
  context: Context,
  target: Target,
  result: DeployResult,
  options: ReleaseOptions,
): Promise<void> {
  const { output } = context;
  const name = renderRelease(result.release, result.of);
  const at = result.url === null ? "" : ` at ${result.url}`;
  if (result.ended !== undefined) output.line(`v${result.ended} ended before it was live; ${name} stays live${at}`);
  else if (!result.created) output.line(`${name} already live${at}`);
  else {
    const watch = result.state === "watching" ? `, watching ${formatDuration(result.watchMs)}` : "";
    output.line(
      `${output.paint.good(name)} live${at} in ${formatDuration(result.elapsedMs)}${result.warm ? " from warm instances" : ""}${watch}`,
    );
  }
  if (result.leaves !== undefined) output.line(`${output.paint.warn("note:")} ${leftText(result.leaves)}`);
  for (const line of renderOverrides(result.overrides)) output.line(line);
  let { state } = result;
  if (options.wait === "proven" && state === "watching") {
    const row = await follow<ReleaseRow>(context, "/v1/wait", { ...target, release: result.release });
    state = row.state;
    if (state !== "proven") {
      throw new OperatorError(
        "ROLLOUT_FAILED",
        `Cannot keep v${row.release} of ${target.app} live in ${target.environment}: ${row.failure ?? state}`,
        {
          hint: "`bronze status` tells what serves now, `bronze logs` what its instances wrote",
        },
      );
    }
    output.line(`${output.paint.good(name)} proven`);
  }
  output.record({ ...result, state });
}
