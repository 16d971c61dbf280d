import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import { parseDigest } from "../../model/names.ts";
import type { Store } from "../../ports/store.ts";
import { newestTag, openStore } from "../build-project.ts";
import { createContext, withTarget, type Context } from "../context.ts";
import { ensureDaemon, type HttpOptions } from "../daemon-start.ts";
import { deployArtifact, type Deployable } from "../deploy-artifact.ts";
import { chooseEnvironment, loadProject } from "../project.ts";
import { goesOn, withReleaseOptions, type ReleaseOptions } from "../release.ts";
import { findImage } from "../store-image.ts";
import { withHttp } from "./serve.ts";

export function deployCommand(): Command {
  return withHttp(withReleaseOptions(withTarget(new Command("deploy"))))
    .description(
      "Puts an artifact of the local store live with this folder's definition; without one the newest that was built here.",
    )
    .argument("[artifact]", "digest, its first characters as status and releases show them, or name in the store")
    .action(async (artifact: string | undefined, options: ReleaseOptions & HttpOptions) => {
      const context = createContext(options, goesOn);
      const project = await loadProject(options);
      const environment = chooseEnvironment(project.definition, options.environment);
      const deployable = await findArtifact(context, openStore(context), artifact ?? newestTag(project.definition.app));
      await ensureDaemon(context, options);
      await deployArtifact(context, project, environment, deployable, options);
    });
}

async function findArtifact(context: Context, store: Store, name: string): Promise<Deployable> {
  const digest = await findImage(context, store, name, "deploy artifact");
  const manifest = await readJson(store, digest);
  const config = (manifest as { readonly config?: { readonly digest?: string } }).config?.digest;
  if (config === undefined) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot deploy "${name}": it is not an image manifest`, {
      hint: "name the digest that `bronze build` or `bronze import` printed",
    });
  }
  const image = (await readJson(store, parseDigest(config))) as {
    readonly config?: { readonly ExposedPorts?: object };
  };
  const exposedPorts = Object.keys(image.config?.ExposedPorts ?? {}).flatMap((key) =>
    /^[0-9]{1,5}\/tcp$/.test(key) ? Number.parseInt(key, 10) : [],
  );
  return { digest, exposedPorts: exposedPorts.toSorted((a, b) => a - b) };
}

async function readJson(store: Store, digest: Digest): Promise<unknown> {
  return JSON.parse((await store.read(digest)).toString()) as unknown;
}
