import { Command } from "commander";
import type { RolloutRequest, RolloutResult } from "../../model/api/rollouts.ts";
import type { StatusReport } from "../../model/api/status.ts";
import { parseReleaseNumber } from "../../model/names.ts";
import { weightText } from "../../model/strategy.ts";
import { renderQuarantined, renderRollout } from "../../render/rollout.ts";
import { renderRelease } from "../../render/status.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { followDone } from "../follow.ts";
import { findTarget, type Target } from "../project.ts";
import { goesOn } from "../release.ts";
import { whoAsks } from "../who.ts";

type Action = RolloutRequest["action"];
type Options = TargetOptions & { readonly why?: string };

export function rolloutCommand(): Command {
  return new Command("rollout")
    .description("What is on its way: how far it is, and a person's hand on it.")
    .addCommand(statusCommand())
    .addCommand(
      actionCommand("pause", "Lets the rollout under way stand still where it is; its deadline stands still too."),
    )
    .addCommand(actionCommand("resume", "Lets a rollout that stands still go on, whoever paused it."))
    .addCommand(actionCommand("complete", "Leaves out the remaining steps: it goes live as soon as it is ready."))
    .addCommand(actionCommand("abort", "Ends the rollout under way; what is live stays, with all requests."))
    .addCommand(allowCommand());
}

function statusCommand(): Command {
  return withTarget(new Command("status"))
    .description("Shows the rollout under way: step, share of the requests, instances, what it waits for.")
    .action(async (options: TargetOptions) => {
      const context = createContext(options);
      const target = await findTarget(context, options);
      const { environments } = await context.client.get<StatusReport>("/v1/status", { ...target }, context.signal);
      const [status] = environments;
      const { output } = context;
      const rollout = status?.rollout ?? null;
      const quarantined = status?.quarantined ?? [];
      for (const line of renderRollout(rollout, output.paint)) output.line(line);
      if (rollout === null) {
        const live = status?.live ?? null;
        const serves =
          live === null ? "nothing is live" : `${renderRelease(live.release, live.of)} is live, ${live.state}`;
        output.line(`no rollout of ${target.app} in ${target.environment} is under way; ${serves}`);
      }
      for (const line of renderQuarantined(quarantined)) output.line(line);
      output.record({ ...target, rollout, quarantined });
    });
}

function actionCommand(action: Action, description: string): Command {
  return withWhy(withTarget(new Command(action)))
    .description(description)
    .action(async (options: Options) => {
      const context = createContext(options, goesOn);
      const target = await findTarget(context, options);
      const body = { ...target, who: whoAsks(), why: options.why ?? "", action };
      const result = await followDone<RolloutResult>(context, "/v1/rollout", body);
      context.output.line(resultText(context, target, action, result));
      context.output.record({ ...target, ...result });
    });
}

function resultText(
  { output: { paint } }: Context,
  { app, environment }: Target,
  action: Action,
  result: RolloutResult,
): string {
  const { release, changed, serving, step, weight } = result;
  const at = step === 0 ? "" : ` at step ${step}, ${weightText(weight)} of the requests`;
  switch (action) {
    case "pause":
      return `v${release} ${changed ? "paused" : "is paused already"}${at}; \`bronze rollout resume\` goes on`;
    case "resume":
      return changed ? `v${release} resumed${at}` : `v${release} is not paused${at}`;
    case "complete":
      return `${paint.good(`v${release}`)} live in ${environment}, without its remaining steps`;
    case "abort":
      return `v${release} aborted; ${serving === null ? `nothing of ${app} is live` : `v${serving} stays live`}`;
  }
}

function allowCommand(): Command {
  return withWhy(withTarget(new Command("allow")))
    .description(
      "Lets a content be deployed again that proved bad: after its rollout was aborted or taken back by itself.",
    )
    .argument("<release>", "v11, as `bronze status` shows it")
    .action(async (release: string, options: Options) => {
      const number = parseReleaseNumber(release);
      const context = createContext(options);
      const target = await findTarget(context, options);
      const body = { ...target, who: whoAsks(), why: options.why ?? "", release: number };
      const result = await followDone<RolloutResult>(context, "/v1/allow", body);
      context.output.line(
        result.changed
          ? `the content of v${number} may be deployed in ${target.environment} again`
          : `the content of v${number} is not quarantined in ${target.environment}`,
      );
      context.output.record({ ...target, ...result });
    });
}

function withWhy(command: Command): Command {
  return command.option("-m, --why <text>", "why, for the record");
}
