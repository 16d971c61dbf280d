import { Command } from "commander";
import { factsOf, readImage } from "../../build/image-state.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { StatusReport } from "../../model/api.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Definition } from "../../model/definition.ts";
import { parseEnvironmentName, type EnvironmentName } from "../../model/names.ts";
import { openStore } from "../build-project.ts";
import { createContext, withShared, type Context } from "../context.ts";
import { deployArtifact } from "../deploy-artifact.ts";
import { chooseEnvironment, loadProject } from "../project.ts";
import { goesOn, withReleaseOptions, type ReleaseOptions } from "../release.ts";

export function promoteCommand(): Command {
  return withReleaseOptions(withShared(new Command("promote")))
    .description(
      "Releases what is live and proven in the environment before, the same digest, with the config and settings of this one; exit 6 naming what is missing.",
    )
    .argument("<environments...>", "[from] to; from is what the definition of to says")
    .option("--file <path>", "definition", "bronze.yaml")
    .action(async (names: readonly string[], options: ReleaseOptions) => {
      const context = createContext(options, goesOn);
      const project = await loadProject(options);
      const { definition } = project;
      const { to, from } = chooseStep(definition, names);
      const digest = await liveIn(context, definition, from, to.name);
      const { image } = await readImage(openStore(context), digest);
      const artifact = { digest, facts: factsOf(image.config) };
      await deployArtifact(context, project, to, artifact, { ...options, promote: true });
    });
}

/** The environment promoted to, and the one before it. A chain is gone one step at a time. */
function chooseStep(
  definition: Definition,
  names: readonly string[],
): { readonly to: Definition["environments"][number]; readonly from: EnvironmentName } {
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

async function liveIn(
  { client, signal }: Context,
  { app }: Definition,
  from: EnvironmentName,
  to: EnvironmentName,
): Promise<Digest> {
  const { environments } = await client.get<StatusReport>("/v1/status", {}, signal);
  const live = environments.find((one) => one.app === app && one.environment === from)?.live;
  if (live !== null && live !== undefined) return live.artifact;
  throw new OperatorError(
    "PROMOTION_DENIED",
    `Cannot promote ${app} from ${from} to ${to}: nothing is live in ${from}`,
    {
      hint: `put something live there first; \`bronze releases -e ${from}\` shows what was`,
    },
  );
}
