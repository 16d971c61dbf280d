import { Command } from "commander";
import { factsOf, readImage } from "../../build/image-state.ts";
import type { DefinedRunSettings } from "../../model/definition.ts";
import type { Store } from "../../ports/store.ts";
import { newestTag, openStore } from "../local-store.ts";
import { createContext, withTarget, type Context } from "../context.ts";
import { ensureDaemon, type HttpOptions } from "../daemon-start.ts";
import { deployArtifact, type Deployable } from "../deploy-artifact.ts";
import { chooseEnvironment, loadProject } from "../project.ts";
import {
  environmentWith,
  releaseGoesOn,
  withReleaseOptions,
  withStrategy,
  type ReleaseOptions,
  type StrategyOptions,
} from "../release.ts";
import { settingNotes } from "../run-settings.ts";
import { findImage } from "../store-image.ts";
import { withHttp } from "./serve.ts";

export function deployCommand(): Command {
  return withHttp(withStrategy(withReleaseOptions(withTarget(new Command("deploy")))))
    .description(
      "Puts an artifact of the local store live with this folder's definition; without one the newest that was built here.",
    )
    .argument("[artifact]", "digest, its first characters as status and releases show them, or name in the store")
    .action(async (artifact: string | undefined, options: ReleaseOptions & StrategyOptions & HttpOptions) => {
      const context = createContext(options, releaseGoesOn);
      const project = await loadProject(options);
      const environment = environmentWith(chooseEnvironment(project.definition, options.environment), options);
      const deployable = await findArtifact(
        context,
        openStore(context),
        artifact ?? newestTag(project.definition.app),
        project.definition.run,
      );
      // A plan starts nothing.
      if (options.plan !== true) await ensureDaemon(context, options);
      await deployArtifact(context, project, environment, deployable, options);
    });
}

async function findArtifact(
  context: Context,
  store: Store,
  name: string,
  run: DefinedRunSettings,
): Promise<Deployable> {
  const digest = await findImage(context, store, name, "deploy artifact");
  const { image } = await readImage(store, digest);
  const facts = factsOf(image.config);
  for (const note of settingNotes(run, facts)) context.output.note(`${context.output.paint.warn("warning:")} ${note}`);
  return { digest, facts };
}
