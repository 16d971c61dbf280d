import { Command } from "commander";
import { factsOf, readImage } from "../../build/image-state.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { WantedSecret } from "../../model/api/releases.ts";
import type { StatusReport } from "../../model/api/status.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Definition } from "../../model/definition.ts";
import { parseAppName, parseEnvironmentName, type EnvironmentName } from "../../model/names.ts";
import { formatDuration } from "../../model/quantities.ts";
import { openStore } from "../local-store.ts";
import { checkSecrets } from "../check-secrets.ts";
import { createContext, withShared, type Context } from "../context.ts";
import { definedConfig } from "../defined-config.ts";
import { deployArtifact } from "../deploy-artifact.ts";
import { inOrderOfNeeds } from "../in-order.ts";
import { chooseEnvironment, loadProjects, type Project } from "../project.ts";
import {
  environmentWith,
  releaseGoesOn,
  withReleaseOptions,
  withStrategy,
  type ReleaseOptions,
  type StrategyOptions,
} from "../release.ts";
import { contextsOf } from "../several.ts";
import { wantedSecrets } from "../secret-providers.ts";

type Environment = Definition["environments"][number];

/** One app's way from an environment to the next. */
interface Promotion {
  readonly project: Project;
  readonly from: EnvironmentName;
  readonly to: Environment;
}

export function promoteCommand(): Command {
  return withStrategy(withReleaseOptions(withShared(new Command("promote"))))
    .description(
      "Releases what is live and proven in the environment before, the same digest, with the config and settings of this one; exit 6 naming what is missing. Of several apps all or none.",
    )
    .argument("<environments...>", "[from] to; from is what the definition of to says")
    .option("--app <name>", "only this app of the definition", parseAppName)
    .option("--file <path>", "definition", "bronze.yaml")
    .action(async (names: readonly string[], options: ReleaseOptions & StrategyOptions) => {
      const context = createContext(options, releaseGoesOn);
      const projects = await loadProjects(options);
      const promotions = projects.map((project) => {
        const { from, to } = chooseStep(project.definition, names);
        return { project, from, to: environmentWith(to, options) };
      });
      const digests = await provenArtifacts(context, promotions);
      const secrets: (readonly WantedSecret[])[] = [];
      for (const { project, to } of promotions) {
        const wanted = await wantedSecrets(to.secrets ?? [], project, context.signal);
        await checkSecrets(context, { app: project.definition.app, environment: to.name }, wanted);
        definedConfig(project.definition, to, project.folder);
        secrets.push(wanted);
      }
      const contexts = contextsOf(context, projects);
      const store = openStore(context);
      await inOrderOfNeeds(
        promotions.map(({ project, to }, index) => ({
          app: project.definition.app,
          needs: to.settings.needs ?? [],
          async run() {
            const digest = digests[index] as Digest;
            const { image } = await readImage(store, digest);
            const artifact = { digest, facts: factsOf(image.config) };
            const promoted = { ...options, promote: true };
            await deployArtifact(contexts.of(project), project, to, artifact, promoted, secrets[index]);
          },
          leftOut: (need) => contexts.of(project).output.line(`left as it is: it needs ${need}, which did not go live`),
        })),
      );
      contexts.finish();
    });
}

/** The environment promoted to, and the one before it. A chain is gone one step at a time. */
function chooseStep(definition: Definition, names: readonly string[]): Pick<Promotion, "from" | "to"> {
  const [first, second] = names.map((name) => parseEnvironmentName(name));
  if (first === undefined || names.length > 2)
    throw new OperatorError("USAGE", `Cannot promote to ${names.length} environments at once`, {
      hint: "name one, `bronze promote production`, or two, `bronze promote staging production`",
    });
  const to = chooseEnvironment(definition, second ?? first);
  const named = second === undefined ? undefined : chooseEnvironment(definition, first).name;
  const { from } = to;
  if (from === null)
    throw new OperatorError("USAGE", `Cannot promote to ${to.name}: nothing comes before it`, {
      hint: `\`bronze up -e ${to.name}\` puts a build live there; \`from:\` under environments.${to.name} names what is before it`,
    });
  if (named === undefined || named === from) return { to, from };
  throw new OperatorError(
    "PROMOTION_DENIED",
    `Cannot promote from ${named} to ${to.name}: what is promoted to ${to.name} comes from ${from}`,
    { hint: `\`bronze promote ${to.name}\` takes what is live and proven in ${from}` },
  );
}

/** What of each app is live and proven before; the daemon looks again when it releases it. */
async function provenArtifacts(
  { client, signal }: Context,
  promotions: readonly Promotion[],
): Promise<readonly Digest[]> {
  const { environments } = await client.get<StatusReport>("/v1/status", {}, signal);
  const missing: string[] = [];
  const digests = promotions.flatMap(({ project: { definition }, from }) => {
    const live = environments.find(({ app, environment }) => app === definition.app && environment === from)?.live;
    if (live?.state === "proven") return live.artifact;
    if (live === null || live === undefined) missing.push(`nothing of ${definition.app} is live in ${from}`);
    else {
      const left =
        live.watchEndsInMs === null
          ? ""
          : ` for another ${formatDuration(Math.ceil(live.watchEndsInMs / 1_000) * 1_000)}`;
      missing.push(`v${live.release} of ${definition.app} is live in ${from} and not proven: ${live.state}${left}`);
    }
    return [];
  });
  const [first] = promotions;
  if (missing.length === 0 || first === undefined) return digests;
  throw new OperatorError("PROMOTION_DENIED", `Cannot promote to ${first.to.name}: ${missing.join("; ")}`, {
    hint: `\`bronze status -e ${first.from}\` says when it is proven; \`bronze up --wait proven\` waits for it`,
    details: { missing },
  });
}
