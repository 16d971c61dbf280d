import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import type { ContainerConfig } from "../../image/oci.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Descriptor } from "../../ports/store.ts";
import type { DebianRecipe } from "../../model/definition.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { BuildCache } from "../cache.ts";
import type { Recorder } from "../evidence/recorder.ts";
import type { LayerPart } from "../layer/compose.ts";
import { openContext, type Context } from "../layer/context.ts";
import { findArchives, type Archive } from "./archives.ts";
import { packageLayer } from "./base.ts";
import { createDebCache } from "./deb-cache.ts";
import { createdAt } from "../dockerfile/stage-state.ts";
import { defaultPath, machineArchitecture, type ImageState } from "../image-state.ts";
import { buildLayer } from "../layer/layer.ts";
import type { BuildOptions } from "../options.ts";
import type { Pinning, PinOptions } from "../pins.ts";
import { requestName, type DebianPins, type PackageRequest } from "./pins.ts";
import { pinPackages, resolvePackages, type ResolveOptions } from "./resolve.ts";
import { asStep } from "./step.ts";
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
  recorder?: Recorder,
): Promise<BuiltRecipe> {
  const sources = resolveOptions(recipe.suite, options);
  const [request, ...others] = requestsOf(recipe);
  for (const other of others) await resolvePackages(other, sources);
  const pins = await resolvePackages(request, sources);
  const debs = createDebCache({ ...options, archives: sources.archives });
  const base = await packageLayer(request, pins, { ...options, cache, debs, epoch });
  recorder?.packages(pins.packages);
  const record = recorder?.stage(0);
  record?.({ name: "packages", text: `debian ${requestName(request)}`, layer: asLayer(base.layer) });
  const context = await openContext(options.projectDir, cache, options.signal, undefined, recorder);
  const parts = await recipeParts(recipe, context);
  if (parts.every((part) => part.kind === "folder" && part.path === ""))
    return { pins, skipped: base.skipped, image: imageOf(recipe, request, [base.layer], epoch) };
  const layering = { store: options.store, cache, signal: options.signal, epoch, base: [base.layer] };
  const layer = await asStep(options.report, "files", "copy files of the project", async () => {
    const made = await buildLayer(parts, layering, recorder === undefined ? {} : { record: recorder.layer });
    return { result: made.layer, cached: made.cached };
  });
  await context.save();
  record?.({ name: "files", text: "files of the project", layer: asLayer(layer) });
  return { pins, skipped: base.skipped, image: imageOf(recipe, request, [base.layer, layer], epoch) };
}

/** A layer that nobody has compressed yet. */
function asLayer(descriptor: Descriptor): StepLayer {
  return { descriptor, diffId: descriptor.digest };
}

function imageOf(
  recipe: DebianRecipe,
  request: PackageRequest,
  layers: readonly [base: Descriptor, project?: Descriptor],
  epoch: number,
): ImageState {
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
  const [base, project] = layers;
  const present = project === undefined ? [base] : [base, project];
  return {
    // What is in Debian's packages is their makers', as a base's is.
    base: { layers: 1, history: 1, config: {} },
    architecture: request.architecture,
    config,
    layers: present,
    diffIds: present.map((layer) => layer.digest),
    history: [
      { created_by: `debian ${requestName(request)}` },
      ...(project === undefined ? [] : [{ created: createdAt(epoch), created_by: "files of the project" }]),
    ],
  };
}

/**
 * Pins the packages of a recipe, as `bronze lock` does.
 *
 * @throws {OperatorError} `NOT_FOUND` for a name in `only` that is no package of the recipe
 */
export async function pinRecipe(recipe: DebianRecipe, options: PinOptions): Promise<Pinning> {
  const sources = resolveOptions(recipe.suite, options);
  const requests = requestsOf(recipe);
  const own = requests[0].architecture;
  const pinnings: Pinning[] = [];
  for (const request of requests) {
    const { changes, apply } = await pinPackages(request, { ...sources, ...options });
    const suffix = request.architecture === own ? "" : `:${request.architecture}`;
    pinnings.push({ changes: changes.map((change) => ({ ...change, name: `${change.name}${suffix}` })), apply });
  }
  const beside = (options.beside ?? []).filter((build) => build.kind === "debian");
  const used = new Set([...requests, ...beside.flatMap(possibleRequests)].map(requestName));
  return {
    changes: pinnings.flatMap(({ changes }) => changes),
    apply: (lock) => {
      const now = pinnings.reduce((before, { apply }) => apply(before), lock);
      if (!options.update || options.only.length > 0) return now;
      // What earlier forms of the recipe needed is needed no more.
      return { ...now, debian: Object.fromEntries(Object.entries(now.debian).filter(([name]) => used.has(name))) };
    },
  };
}

/** What may be asked of apt for a recipe, wherever it is built. */
function possibleRequests({
  suite,
  packages,
  recommends,
  full,
  architectures,
}: DebianRecipe): readonly PackageRequest[] {
  const all = new Set([machineArchitecture(), ...architectures]);
  return [...all].map((architecture) => ({ suite, architecture, packages, recommends, full }));
}

/** The name that bronze.lock has for what a recipe takes on this machine. */
export function ownRequestName(recipe: DebianRecipe): string {
  return requestName(requestsOf(recipe)[0]);
}

/** What is asked of apt, for this machine first. @throws {OperatorError} `BUILD_FAILED` where the recipe is not for it */
function requestsOf(recipe: DebianRecipe): readonly [own: PackageRequest, ...others: PackageRequest[]] {
  const own = machineArchitecture();
  if (recipe.architectures.length > 0 && !recipe.architectures.includes(own))
    throw new OperatorError(
      "BUILD_FAILED",
      `Cannot build for ${recipe.architectures.join(" and ")}: this machine is ${own}`,
      { hint: `build on another machine, or add ${own} to build.architectures` },
    );
  const { suite, packages, recommends, full } = recipe;
  const requestFor = (architecture: string): PackageRequest => ({ suite, architecture, packages, recommends, full });
  return [requestFor(own), ...recipe.architectures.filter((name) => name !== own).map(requestFor)];
}

/** The machine's apt is asked where its mirrors are at most once, and only when something has to come from there. */
function resolveOptions(suite: string, options: Omit<ResolveOptions, "archives">): ResolveOptions {
  let archives: Promise<readonly Archive[]> | undefined;
  return { ...options, archives: () => (archives ??= findArchives(suite, options.signal)) };
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
