import type { Digest } from "../model/canonical.ts";
import type { DeployRequest, WantedSecret } from "../model/api/releases.ts";
import type { DeployPlan } from "../model/api/rollouts.ts";
import type { StatusReport } from "../model/api/status.ts";
import type { Definition } from "../model/definition.ts";
import type { AppName } from "../model/names.ts";
import { renderDeployPlan } from "../render/deploy-plan.ts";
import type { Context } from "./context.ts";
import { definedConfig } from "./defined-config.ts";
import { followRelease } from "./follow.ts";
import type { Project, Target } from "./project.ts";
import { printRelease, type ReleaseOptions, type StrategyOptions } from "./release.ts";
import { secretLike } from "./secret-like.ts";
import { settingsFor, type ImageWishes } from "./run-settings.ts";
import { wantedSecrets } from "./secret-providers.ts";
import { commitOf, whoAsks } from "./who.ts";

/** An artifact and what its image says about how it wants to be run. */
export interface Deployable {
  readonly digest: Digest;
  readonly facts: ImageWishes;
}

/**
 * Puts an artifact live in an environment of the project and prints the release; with `--plan` it only tells how.
 *
 * @param given its secrets, where they have been read already
 */
export async function deployArtifact(
  context: Context,
  project: Project,
  environment: Definition["environments"][number],
  artifact: Deployable,
  options: ReleaseOptions & StrategyOptions & { readonly promote?: boolean },
  given?: readonly WantedSecret[],
): Promise<void> {
  const { definition, folder } = project;
  const target: Target = { app: definition.app, environment: environment.name };
  const commit = await commitOf(folder);
  const secrets = given ?? (await wantedSecrets(environment.secrets ?? [], project, context.signal));
  const config = definedConfig(definition, environment, folder);
  for (const { name, rule } of secretLike(config))
    context.output.note(
      `${context.output.paint.warn("warning:")} config ${name} looks like a secret (${rule}): it is shown and kept for good; \`secrets: [${name}]\` and \`bronze secret set ${name}\` keep it encrypted`,
    );
  const body: DeployRequest = {
    ...target,
    who: whoAsks(),
    why: options.why ?? "",
    artifact: artifact.digest,
    settings: settingsFor(definition.run, artifact.facts),
    ...(secrets.length === 0 ? {} : { secrets }),
    config,
    environmentSettings: environment.settings,
    ...(definition.tests === undefined ? {} : { tests: definition.tests }),
    ...(environment.from === null ? {} : { from: environment.from }),
    ...(options.promote === true ? { promote: true } : {}),
    ...(commit === undefined ? {} : { commit }),
  };
  if (options.plan === true) return printPlan(context, body);
  await noteMissing(context, target, environment.settings.needs ?? []);
  await printRelease(context, target, await followRelease(context, "/v1/deploy", body), options);
}

async function printPlan({ client, signal, output }: Context, body: DeployRequest): Promise<void> {
  for await (const plan of client.stream<DeployPlan>("POST", "/v1/plan", { body }, signal)) {
    for (const line of renderDeployPlan(plan)) output.line(line);
    output.record(plan);
  }
}

/** Its instances are started when what it needs serves: without a word it would look as if nothing went on. */
async function noteMissing(context: Context, { environment }: Target, needs: readonly AppName[]): Promise<void> {
  if (needs.length === 0) return;
  const { environments } = await context.client.get<StatusReport>("/v1/status", {}, context.signal);
  const missing = needs.filter(
    (need) => !environments.some((one) => one.app === need && one.environment === environment && one.healthy > 0),
  );
  if (missing.length > 0)
    context.output.note(
      `  waits for ${missing.join(", ")} to serve in ${environment}, for two minutes at most: \`bronze up --app ${missing[0] ?? ""}\` brings it`,
    );
}
