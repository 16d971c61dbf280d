import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import type { ContainerConfig } from "../../image/oci.ts";
import type { DebianRecipe } from "../../model/definition.ts";
import type { BuildCache } from "../cache.ts";
import type { LayerPart } from "../layer/compose.ts";
import { openContext, type Context } from "../layer/context.ts";
import { findArchives, type Archive } from "./archives.ts";
import { packageLayer } from "./base.ts";
import { createDebCache } from "./deb-cache.ts";
import { createdAt } from "../dockerfile/execute.ts";
import { defaultPath, machineArchitecture, type ImageState } from "../image-state.ts";
import { buildLayer } from "../layer/layer.ts";
import type { BuildOptions } from "../options.ts";
import type { DebianPins, PackageRequest } from "./pins.ts";
import { resolvePackages, updatePackages, type ResolveOptions } from "./resolve.ts";
import type { SkippedScript } from "./scripts.ts";

export interface BuiltRecipe {
  readonly image: ImageState;
  /** What of bronze.lock was used. */
  readonly pins: DebianPins;
  /** Packages that may lack what their maintainer scripts would have done. */
  readonly skipped: readonly SkippedScript[];
}

/** An image of two layers: Debian packages, and the project's files over them. */
export async function buildRecipe(
  recipe: DebianRecipe,
  options: BuildOptions,
  cache: BuildCache,
  epoch: number,
): Promise<BuiltRecipe> {
  const sources = resolveOptions(recipe, options);
  const request = requestOf(recipe, machineArchitecture());
  if (options.refresh === true) await updatePackages(request, sources);
  const pins = await resolvePackages(request, sources);
  const debs = createDebCache({ ...options, archives: sources.archives });
  const base = await packageLayer(request, pins, { ...options, cache, debs, epoch });
  const context = await openContext(options.projectDir, cache, options.signal);
  const parts = await recipeParts(recipe, context);
  const layering = { store: options.store, cache, signal: options.signal, epoch, base: [base.layer] };
  const { layer, cached } = await buildLayer(parts, layering);
  await context.save();
  options.report({ kind: "note", text: `files of the project${cached ? " (unchanged)" : ""}` });
  const env = Object.entries(recipe.env)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  const config: ContainerConfig = {
    User: recipe.user,
    WorkingDir: recipe.workdir,
    Env: env.some((entry) => entry.startsWith("PATH=")) ? env : [defaultPath, ...env],
    ...(recipe.command.length === 0 ? {} : { Cmd: recipe.command }),
    ...(recipe.expose.length === 0
      ? {}
      : { ExposedPorts: Object.fromEntries(recipe.expose.map((port) => [`${port}/tcp`, {}])) }),
  };
  return {
    pins,
    skipped: base.skipped,
    image: {
      architecture: request.architecture,
      config,
      layers: [base.layer, layer],
      diffIds: [base.layer.digest, layer.digest],
      history: [
        { created_by: `debian ${recipe.suite}: ${recipe.packages.join(" ")}` },
        { created: createdAt(epoch), created_by: "files of the project" },
      ],
      base: { layers: 1, history: 1, config: {} },
    },
  };
}

function requestOf(recipe: DebianRecipe, architecture: string): PackageRequest {
  return { suite: recipe.suite, architecture, packages: recipe.packages, recommends: recipe.recommends, full: false };
}

/** The machine's apt is asked where its mirrors are at most once, and only when something has to come from there. */
function resolveOptions(recipe: DebianRecipe, options: Omit<ResolveOptions, "archives">): ResolveOptions {
  let archives: Promise<readonly Archive[]> | undefined;
  return { ...options, archives: () => (archives ??= findArchives(recipe.suite, options.signal)) };
}

async function recipeParts(recipe: DebianRecipe, context: Context): Promise<readonly LayerPart[]> {
  const parts: LayerPart[] = [{ kind: "folder", path: toBytePath(recipe.workdir.slice(1)) }];
  for (const rule of recipe.copy) {
    const to = toBytePath(rule.to.replace(/^\/+|\/+$/g, ""));
    for (const { path, files } of await context.find(rule.from)) {
      const isFile = files[0]?.path === path && files[0].kind !== "directory";
      const place = isFile && rule.to.endsWith("/") ? [to, nameOf(path)].filter((piece) => piece !== "").join("/") : to;
      parts.push({
        kind: "tree",
        files,
        contents: context.contents,
        from: path,
        to: place,
        owner: { uid: 0, gid: 0 },
        mode: undefined,
      });
    }
  }
  return parts;
}

function nameOf(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf("/") + 1);
}
