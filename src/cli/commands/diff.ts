import { Command } from "commander";
import { exitStatusByCode } from "../../errors/codes.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Content } from "../../model/content.ts";
import type { ReleaseRow, StatusReport } from "../../model/api.ts";
import { diffAcross, isSame } from "../../model/difference.ts";
import { parseEnvironmentName, type AppName, type EnvironmentName } from "../../model/names.ts";
import { renderDifference } from "../../render/difference.ts";
import { renderRelease } from "../../render/status.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { findTarget } from "../project.ts";

type Live = ReleaseRow & { readonly content: Content };

export function diffCommand(): Command {
  return withTarget(new Command("diff"))
    .description(
      "Shows in what the releases live in two environments differ: artifact, config, settings, names of secrets; exit 3 when they do. Versions of secrets, scale and routes are each environment's own.",
    )
    .argument("<from>", "environment", parseEnvironmentName)
    .argument("<to>", "environment", parseEnvironmentName)
    .action(async (from: EnvironmentName, to: EnvironmentName, options: TargetOptions) => {
      const context = createContext(options);
      const { app } = await findTarget(context, { ...options, environment: from });
      const [a, b] = [await liveIn(context, app, from), await liveIn(context, app, to)];
      const difference = diffAcross(a.content, b.content);
      const { output } = context;
      output.line(`${from} ${renderRelease(a.release, a.of)} → ${to} ${renderRelease(b.release, b.of)} of ${app}`);
      for (const line of renderDifference(difference)) output.line(line);
      const same = isSame(difference);
      const side = ({ environment, release, digest }: Live): object => ({ environment, release, digest });
      output.record({ app, from: side(a), to: side(b), same, difference });
      if (!same) process.exitCode = exitStatusByCode.DRIFT_FOUND;
    });
}

async function liveIn({ client, signal }: Context, app: AppName, environment: EnvironmentName): Promise<Live> {
  const report = await client.get<StatusReport>("/v1/status", { app, environment }, signal);
  const release = report.environments[0]?.live?.release;
  if (release !== undefined) return client.get<Live>("/v1/release", { app, environment, release }, signal);
  throw new OperatorError("NOT_FOUND", `Cannot compare ${app} in ${environment}: nothing is live there`, {
    hint: `\`bronze releases -e ${environment}\` shows what was; \`bronze status\` what is live elsewhere`,
  });
}
