import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { WantedSecret } from "../../model/api/releases.ts";
import type { Definition } from "../../model/definition.ts";
import type { AppName } from "../../model/names.ts";
import { buildProject } from "../build-project.ts";
import { withBuild, type BuildOptions } from "../build-options.ts";
import { checkSecrets } from "../check-secrets.ts";
import { createContext, withTarget, type Context } from "../context.ts";
import { ensureDaemon, type HttpOptions } from "../daemon-start.ts";
import { definedConfig } from "../defined-config.ts";
import { deployArtifact, type Deployable } from "../deploy-artifact.ts";
import { isAway } from "../follow.ts";
import { inOrderOfNeeds, type OrderedWork } from "../in-order.ts";
import { chooseEnvironment, loadProjects, type Project } from "../project.ts";
import { withRegistry, type RegistryOptions } from "../registry.ts";
import {
  environmentWith,
  releaseGoesOn,
  withReleaseOptions,
  withStrategy,
  type ReleaseOptions,
  type StrategyOptions,
} from "../release.ts";
import { contextsOf, refuseForSeveral } from "../several.ts";
import { wantedSecrets } from "../secret-providers.ts";
import { withHttp } from "./serve.ts";

type UpOptions = ReleaseOptions & StrategyOptions & HttpOptions & RegistryOptions & BuildOptions;

interface Chosen {
  readonly project: Project;
  readonly environment: Definition["environments"][number];
  readonly secrets: readonly WantedSecret[];
}

export function upCommand(): Command {
  return withBuild(withRegistry(withHttp(withStrategy(withReleaseOptions(withTarget(new Command("up")))))))
    .description(
      "Builds this folder's artifact and puts it live; starts the daemon when none runs. What is live already is not released again. Of several apps each goes live when those that it needs serve.",
    )
    .action(async (options: UpOptions) => {
      const context = createContext(options, releaseGoesOn);
      const projects = await loadProjects(options);
      refuseForSeveral(projects, options);
      const chosen: Chosen[] = [];
      for (const project of projects) {
        const environment = environmentWith(chooseEnvironment(project.definition, options.environment), options);
        refusePromoted(project.definition.app, environment);
        // What cannot be had is told before a long build.
        const secrets = await wantedSecrets(environment.secrets ?? [], project, context.signal);
        definedConfig(project.definition, environment, project.folder);
        chosen.push({ project, environment, secrets });
      }
      // A machine that cannot run the daemon says so before a long build. A plan starts nothing.
      await (options.plan === true
        ? context.client.get("/v1/ping", {}, context.signal)
        : ensureDaemon(context, options));
      for (const { project, environment, secrets } of chosen) {
        const target = { app: project.definition.app, environment: environment.name };
        await withDaemon(context, options, () => checkSecrets(context, target, secrets));
      }
      const contexts = contextsOf(context, projects);
      const works: OrderedWork[] = [];
      for (const one of chosen) {
        const { project, environment } = one;
        const own = contexts.of(project);
        // One after the other: a build uses the whole machine by itself.
        const { artifact } = await buildProject(own, project, options);
        works.push({
          app: project.definition.app,
          needs: environment.settings.needs ?? [],
          run: () => deploy(own, one, { digest: artifact.digest, facts: artifact.config }, options),
          leftOut: (need) => own.output.line(`left as it is: it needs ${need}, which did not go live`),
        });
      }
      await inOrderOfNeeds(works);
      contexts.finish();
    });
}

/** What was just built was proven nowhere: it goes to the first environment. */
function refusePromoted(app: AppName, { name, from }: Definition["environments"][number]): void {
  if (from === null) return;
  throw new OperatorError("PROMOTION_DENIED", `Cannot put a build of ${app} live in ${name}: it comes from ${from}`, {
    hint: `\`bronze up\` puts it live in the first environment; \`bronze promote ${name}\` brings on what is proven in ${from}`,
  });
}

function deploy(
  context: Context,
  { project, environment, secrets }: Chosen,
  artifact: Deployable,
  options: UpOptions,
): Promise<void> {
  return withDaemon(context, options, () => deployArtifact(context, project, environment, artifact, options, secrets));
}

/** `down` of the last app may end the daemon at any moment: one that never heard of the work is started anew for it. */
async function withDaemon(context: Context, options: UpOptions, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!isAway(thrown) || options.plan === true) throw thrown;
    await ensureDaemon(context, options);
    await work();
  }
}
