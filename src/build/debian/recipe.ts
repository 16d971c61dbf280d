import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import type { ContainerConfig } from "../../image/oci.ts";
import type { DebianRecipe } from "../../model/definition.ts";
import type { BuildCache } from "../cache.ts";
import type { LayerPart } from "../layer/compose.ts";
import { openContext } from "../layer/context.ts";
import { debianBase } from "./base.ts";
import { createdAt } from "../dockerfile/execute.ts";
import { defaultPath, type ImageState } from "../image-state.ts";
import { buildLayer } from "../layer/layer.ts";
import type { BuildOptions } from "../options.ts";

/** An image of two layers: Debian packages, and the project's files over them. */
export async function buildRecipe(
  recipe: DebianRecipe,
  options: BuildOptions,
  cache: BuildCache,
  epoch: number,
): Promise<{ image: ImageState; packages: readonly string[] }> {
  const base = await debianBase(recipe.suite, recipe.packages, {
    ...options,
    cache,
    refresh: options.refresh === true,
  });
  const parts = recipeParts(recipe, options.projectDir);
  const request = { store: options.store, cache, signal: options.signal, epoch, base: [base.layer] };
  const { layer, cached } = await buildLayer(parts, request);
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
    packages: base.packages,
    image: {
      architecture: base.architecture,
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

function recipeParts(recipe: DebianRecipe, projectDir: string): readonly LayerPart[] {
  const context = openContext(projectDir);
  const parts: LayerPart[] = [{ kind: "folder", path: toBytePath(recipe.workdir.slice(1)) }];
  for (const rule of recipe.copy) {
    const to = toBytePath(rule.to.replace(/^\/+|\/+$/g, ""));
    for (const { path, files } of context.find(rule.from)) {
      const isFile = files[0]?.path === path && files[0].kind !== "directory";
      const place = isFile && rule.to.endsWith("/") ? [to, nameOf(path)].filter((piece) => piece !== "").join("/") : to;
      parts.push({ kind: "tree", files, from: path, to: place, owner: { uid: 0, gid: 0 }, mode: undefined });
    }
  }
  return parts;
}

function nameOf(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf("/") + 1);
}
