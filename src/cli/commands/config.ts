import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { ConfigReport, ConfigRequest, DeployResult } from "../../model/api/releases.ts";
import { configNameProblem, configValueProblem, type ConfigOverrides } from "../../model/config.ts";
import { nearestName } from "../../model/nearest.ts";
import { renderConfig } from "../../render/config.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { ensureDaemon } from "../daemon-start.ts";
import { followRelease } from "../follow.ts";
import { findKnownTarget, findTarget, type Target } from "../project.ts";
import { releaseGoesOn, printRelease, withReleaseOptions, type ReleaseOptions } from "../release.ts";
import { secretLike } from "../secret-like.ts";
import { readVariables } from "../variables-file.ts";
import { whoAsks } from "../who.ts";

export function configCommand(): Command {
  return new Command("config")
    .description("Shows and overrides the variables of instances. Secrets are for `bronze secret`.")
    .addCommand(setCommand())
    .addCommand(unsetCommand())
    .addCommand(listCommand());
}

interface SetOptions extends ReleaseOptions {
  readonly from?: string;
  readonly absent?: readonly string[];
  readonly plain?: boolean;
}

function setCommand(): Command {
  return withReleaseOptions(withTarget(new Command("set")))
    .description(
      "Overrides the definition's config until `config unset`: all changes in one new release of what is live. Where nothing is live yet they are kept for the first deploy.",
    )
    .argument("[assignments...]", "NAME=value")
    .option("--from <file>", "variables of a dotenv file, or of a JSON object")
    .option("--absent <names...>", "variables that instances are not to see")
    .option("--plain", "also values that look like secrets and are none")
    .action(async (assignments: readonly string[], options: SetOptions) => {
      const context = createContext(options, releaseGoesOn);
      const { from } = options;
      const set = {
        ...(from === undefined ? {} : readVariables(from, from, "ARGUMENT_INVALID")),
        ...assigned(assignments, options.absent ?? []),
      };
      const names = Object.keys(set).sort();
      if (names.length === 0)
        throw new OperatorError("USAGE", "Cannot set anything: no variable is named", {
          hint: "write NAME=value, or name a file with --from FILE",
        });
      if (options.plain !== true) refuseSecrets(set);
      await change(context, options, { set }, `${names.join(", ")} kept for the first deploy`);
    });
}

function unsetCommand(): Command {
  return withReleaseOptions(withTarget(new Command("unset")))
    .description("Ends overrides: what the definition says holds again, in one new release of what is live.")
    .argument("[names...]", "variables")
    .option("--all", "every override")
    .action(async (names: readonly string[], options: ReleaseOptions & { readonly all?: boolean }) => {
      const context = createContext(options, releaseGoesOn);
      if ((options.all === true) !== (names.length === 0))
        throw new OperatorError("USAGE", "Cannot unset: name variables, or give --all", {
          hint: "`bronze config list` shows what is overridden",
        });
      const body = options.all === true ? { unsetAll: true } : { unset: names };
      await change(context, options, body, "ended before the first deploy");
    });
}

function listCommand(): Command {
  return withTarget(new Command("list"))
    .description("Shows the variables that instances of an environment see, and where each comes from.")
    .argument("[names...]", "only these, however long their values are")
    .action(async (names: readonly string[], options: TargetOptions) => {
      const context = createContext(options);
      const target = await findTarget(context, options);
      const report = await context.client.get<ConfigReport>("/v1/config", { ...target }, context.signal);
      const chosen = names.length === 0 ? report : only(report, names);
      for (const line of renderConfig(chosen, names.length === 0 ? "short" : "whole")) context.output.line(line);
      context.output.record(chosen);
    });
}

async function change(
  context: Context,
  options: ReleaseOptions,
  changes: Pick<ConfigRequest, "set" | "unset" | "unsetAll">,
  kept: string,
): Promise<void> {
  // The first override may come before the first deploy.
  if (changes.set !== undefined) await ensureDaemon(context, {});
  const target: Target = await findKnownTarget(context, options);
  const { set } = changes;
  if (set !== undefined) await noteMistyped(context, target, Object.keys(set));
  const body: ConfigRequest = { ...target, who: whoAsks(), why: options.why ?? "", ...changes };
  const result = await followRelease<DeployResult | null>(context, "/v1/config", body);
  if (result !== null) return printRelease(context, target, result, options);
  context.output.line(`${target.app} ${target.environment}: nothing is live; ${kept}`);
  context.output.record({ ...target, release: null });
}

/** A variable that nobody knows yet may be one that somebody knows by another name; it is set all the same. */
async function noteMistyped(context: Context, target: Target, names: readonly string[]): Promise<void> {
  const report = await context.client
    .get<ConfigReport>("/v1/config", { ...target }, context.signal)
    .catch(() => undefined);
  if (report === undefined) return;
  const known = [...Object.keys(report.config), ...report.overrides.map(({ name }) => name)];
  for (const name of names) {
    const near = known.includes(name) ? undefined : nearestName(name, known);
    if (near !== undefined)
      context.output.note(
        `${name} is new here: did you mean ${near}? If so: bronze config unset ${name}, then set ${near}`,
      );
  }
}

function assigned(assignments: readonly string[], absent: readonly string[]): ConfigOverrides {
  const set = new Map<string, string | null>();
  for (const text of [...assignments, ...absent.map((name) => `${name}=`)]) {
    const at = text.indexOf("=");
    const name = at < 0 ? text : text.slice(0, at);
    const value = text.slice(at + 1);
    const problem =
      configNameProblem(name) ??
      (at < 0 ? "has no value: write NAME=value" : configValueProblem(value)) ??
      (set.has(name) ? "is named twice" : undefined);
    if (problem !== undefined) {
      throw new OperatorError("ARGUMENT_INVALID", `Cannot set "${name.slice(0, 80)}": it ${problem}`, {
        hint: "write NAME=value; `bronze config unset NAME` ends an override",
      });
    }
    set.set(name, value);
  }
  for (const name of absent) set.set(name, null);
  return Object.fromEntries(set);
}

/** Config is shown to everybody and kept in the ledger for good: what looks like a secret does not get there by mistake. */
function refuseSecrets(set: ConfigOverrides): void {
  const [first, ...others] = secretLike(set);
  if (first === undefined) return;
  const all = [first, ...others].map(({ name, rule }) => `${name} (${rule})`).join(", ");
  throw new OperatorError("SECRET_FOUND", `Cannot set ${all}: it looks like a secret, and config is shown and kept`, {
    hint: `\`bronze secret set ${first.name}\` keeps it encrypted; --plain sets what is no secret`,
  });
}

function only(report: ConfigReport, names: readonly string[]): ConfigReport {
  const known = [...Object.keys(report.config), ...report.overrides.map(({ name }) => name)];
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = nearestName(name, known);
    throw new OperatorError("NOT_FOUND", `Cannot list "${name}": no such variable in ${report.environment}`, {
      hint: near === undefined ? "without names, `bronze config list` shows all" : `did you mean ${near}?`,
    });
  }
  return {
    ...report,
    config: Object.fromEntries(Object.entries(report.config).filter(([name]) => names.includes(name))),
    overrides: report.overrides.filter(({ name }) => names.includes(name)),
  };
}
