import { Command } from "commander";
import { exitStatusByCode } from "../../errors/codes.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Content } from "../../model/content.ts";
import type { ReleaseRow } from "../../model/api/releases.ts";
import type { StatusReport } from "../../model/api/status.ts";
import { diffAcross, isSame, type ContentDifference } from "../../model/difference.ts";
import { parseAppName, parseEnvironmentName, type AppName, type EnvironmentName } from "../../model/names.ts";
import { renderDifference } from "../../render/difference.ts";
import { renderRelease } from "../../render/status.ts";
import { createContext, withShared, type Context, type TargetOptions } from "../context.ts";
import { findTargets } from "../project.ts";

type Live = ReleaseRow & { readonly content: Content };
type Side = Pick<Live, "environment" | "release" | "digest">;

interface Comparison {
  readonly app: AppName;
  readonly from: Side;
  readonly to: Side;
  readonly same: boolean;
  readonly difference: ContentDifference;
}

export function diffCommand(): Command {
  return withShared(new Command("diff"))
    .description(
      "Shows in what the releases live in two environments differ: artifact, config, settings, names of secrets; exit 3 when they do. Versions of secrets, scale and routes are each environment's own.",
    )
    .argument("<from>", "environment", parseEnvironmentName)
    .argument("<to>", "environment", parseEnvironmentName)
    .option("--app <name>", "app (default: those of this folder's definition)", parseAppName)
    .option("--file <path>", "definition", "bronze.yaml")
    .action(async (from: EnvironmentName, to: EnvironmentName, options: TargetOptions) => {
      const context = createContext(options);
      const { output } = context;
      const targets = await findTargets(context, { ...options, environment: from });
      const results: Comparison[] = [];
      for (const { app } of targets) results.push(await compare(context, app, from, to));
      output.record(targets.length === 1 ? results[0] : results);
      if (results.some(({ same }) => !same)) process.exitCode = exitStatusByCode.DRIFT_FOUND;
    });
}

async function compare(
  context: Context,
  app: AppName,
  from: EnvironmentName,
  to: EnvironmentName,
): Promise<Comparison> {
  const [a, b] = [await liveIn(context, app, from), await liveIn(context, app, to)];
  const difference = diffAcross(a.content, b.content);
  const { output } = context;
  output.line(`${from} ${renderRelease(a.release, a.of)} → ${to} ${renderRelease(b.release, b.of)} of ${app}`);
  for (const line of renderDifference(difference)) output.line(line);
  const side = ({ environment, release, digest }: Live): Side => ({ environment, release, digest });
  return { app, from: side(a), to: side(b), same: isSame(difference), difference };
}

async function liveIn({ client, signal }: Context, app: AppName, environment: EnvironmentName): Promise<Live> {
  const report = await client.get<StatusReport>("/v1/status", { app, environment }, signal);
  const release = report.environments[0]?.live?.release;
  if (release !== undefined) return client.get<Live>("/v1/release", { app, environment, release }, signal);
  throw new OperatorError("NOT_FOUND", `Cannot compare ${app} in ${environment}: nothing is live there`, {
    hint: `\`bronze releases -e ${environment}\` shows what was; \`bronze status\` what is live elsewhere`,
  });
}
