import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Definition } from "../../model/definition.ts";
import type { AppName } from "../../model/names.ts";
import { buildProject } from "../build-project.ts";
import { withBuild, type BuildOptions } from "../build-options.ts";
import { createContext, withTarget } from "../context.ts";
import { ensureDaemon, type HttpOptions } from "../daemon-start.ts";
import { deployArtifact } from "../deploy-artifact.ts";
import { chooseEnvironment, loadProject } from "../project.ts";
import { withRegistry, type RegistryOptions } from "../registry.ts";
import { goesOn, withReleaseOptions, type ReleaseOptions } from "../release.ts";
import { withHttp } from "./serve.ts";

/** What was just built was proven nowhere: it goes to the first environment. */
function refusePromoted(app: AppName, { name, from }: Definition["environments"][number]): void {
  if (from === null) return;
  throw new OperatorError("PROMOTION_DENIED", `Cannot put a build of ${app} live in ${name}: it comes from ${from}`, {
    hint: `\`bronze up\` puts it live in the first environment; \`bronze promote ${name}\` brings on what is proven in ${from}`,
  });
}

export function upCommand(): Command {
  return withBuild(withRegistry(withHttp(withReleaseOptions(withTarget(new Command("up"))))))
    .description(
      "Builds this folder's artifact and puts it live; starts the daemon when none runs. What is live already is not released again.",
    )
    .action(async (options: ReleaseOptions & HttpOptions & RegistryOptions & BuildOptions) => {
      const context = createContext(options, goesOn);
      const project = await loadProject(options);
      const environment = chooseEnvironment(project.definition, options.environment);
      refusePromoted(project.definition.app, environment);
      // A machine that cannot run the daemon says so before a long build.
      await ensureDaemon(context, options);
      const { artifact } = await buildProject(context, project, options);
      const { digest, config } = artifact;
      const deploy = (): Promise<void> =>
        deployArtifact(context, project, environment, { digest, facts: config }, options);
      await deploy().catch(async (thrown: unknown) => {
        // While this was built, `down` of the last app may have ended the daemon; it never heard of the deploy.
        if (!(thrown instanceof OperatorError) || thrown.code !== "DAEMON_UNREACHABLE" || thrown.details === "final")
          throw thrown;
        await ensureDaemon(context, options);
        await deploy();
      });
    });
}
