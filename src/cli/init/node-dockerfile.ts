import { appUser, envLines, listInstruction } from "./dockerfile-text.ts";
import type { Folder } from "./folder.ts";
import type { FrameworkOutput } from "./node-frameworks.ts";
import type { NodeManifest } from "./node-manifest.ts";
import { copyLines, npmrcOf, type PackageManager } from "./node-packages.ts";
import type { NodeStart } from "./node-start.ts";
import type { Variables } from "./proposal.ts";
import type { RuntimeVersion } from "./versions.ts";

/** All that decides what the Dockerfile of a server says. */
export interface NodeImage {
  readonly folder: Folder;
  readonly manifest: NodeManifest;
  readonly manager: PackageManager;
  readonly version: RuntimeVersion;
  /** Why an installation needs compilers or git. */
  readonly tools: string | undefined;
  readonly start: NodeStart;
  readonly output: Extract<FrameworkOutput, { kind: "server" }> | undefined;
  readonly env: Variables;
  readonly port: number;
}

/** @param full with compilers and git */
export function nodeBase(manager: PackageManager, version: RuntimeVersion, full: boolean): string {
  if (manager.name === "bun") return full ? "oven/bun:1" : "oven/bun:1-slim";
  return `node:${version.tag}${full ? "" : "-slim"}`;
}

/** A RUN that installs: with the manager's cache, and with tokens that reach no layer. */
export function installLine(folder: Folder, manager: PackageManager, command: string): string {
  const npmrc = npmrcOf(folder);
  const secrets = (npmrc?.variables ?? []).map((name) => `--mount=type=secret,id=${name},env=${name} `);
  if (npmrc?.copied === false) secrets.push("--mount=type=secret,id=npmrc,target=/app/.npmrc ");
  return `RUN --mount=type=cache,target=${manager.cache} ${secrets.join("")}${command}`;
}

/** The stages of a server's image: as few as its installation and its build allow. */
export function stagesOf(image: NodeImage): readonly string[] {
  const { folder, manifest, manager, output } = image;
  const build = manifest.scripts.has("build") ? `${manager.name} run build` : undefined;
  const keepsDevelopment = image.start.developmentTool !== undefined;
  if (build === undefined && image.tools === undefined && !needsSource(folder, manifest)) return oneStage(image);
  const cache = output?.cache === null || output === undefined ? "" : `--mount=type=cache,target=/app/${output.cache} `;
  const takesAll = (output?.parts ?? null) === null;
  if (build !== undefined && takesAll && !keepsDevelopment && !needsSource(folder, manifest))
    return threeStages(image, build, cache);
  const prune = keepsDevelopment || !takesAll ? null : manager.prune;
  return [
    ...buildStage(image, build === undefined ? undefined : `${cache}${build}`, output?.env ?? {}),
    ...(prune === null ? [] : [installLine(folder, manager, prune)]),
    "",
    ...lastStage(
      image,
      (output?.parts ?? [{ from: ".", to: "./" }]).map(
        ({ from, to }) => `COPY --from=build /app${from === "." ? "" : `/${from}`} ${to}`,
      ),
    ),
  ];
}

/** A stage that installs everything and builds; sources come late, so that a change in them installs nothing again. */
export function buildStage(
  {
    folder,
    manifest,
    manager,
    version,
    tools,
  }: Pick<NodeImage, "folder" | "manifest" | "manager" | "version" | "tools">,
  build: string | undefined,
  env: Variables,
): readonly string[] {
  const early = needsSource(folder, manifest);
  return [
    `FROM ${nodeBase(manager, version, tools !== undefined)} AS build`,
    ...envLines({ ...manager.env, ...env }),
    "WORKDIR /app",
    ...manager.setUp.map((command) => `RUN ${command}`),
    ...(early ? ["COPY . ."] : copyLines(folder, manager)),
    installLine(folder, manager, manager.install),
    ...(early ? [] : ["COPY . ."]),
    ...(build === undefined ? [] : [`RUN ${build}`]),
  ];
}

function oneStage(image: NodeImage): readonly string[] {
  const { folder, manager, manifest } = image;
  const keepsDevelopment = image.start.developmentTool !== undefined;
  const installs = manifest.dependencies.size > 0 || keepsDevelopment || manager.lock !== null;
  const install = [
    ...manager.setUp.map((command) => `RUN ${command}`),
    ...copyLines(folder, manager),
    installLine(folder, manager, keepsDevelopment ? manager.install : manager.installProduction),
  ];
  return lastStage(
    { ...image, env: { ...manager.env, ...image.env } },
    [...(installs ? install : []), "COPY . ."],
    keepsDevelopment,
  );
}

/** What is needed to run and what builds are installed beside each other; a changed source leaves the first as it is. */
function threeStages(image: NodeImage, build: string, cache: string): readonly string[] {
  const { folder, manager, manifest } = image;
  const runs = manifest.dependencies.size > 0;
  return [
    `FROM ${nodeBase(manager, image.version, image.tools !== undefined)} AS base`,
    ...envLines({ ...manager.env, ...image.output?.env }),
    "WORKDIR /app",
    ...manager.setUp.map((command) => `RUN ${command}`),
    ...copyLines(folder, manager),
    "",
    ...(runs ? ["FROM base AS dependencies", installLine(folder, manager, manager.installProduction), ""] : []),
    "FROM base AS build",
    installLine(folder, manager, manager.install),
    "COPY . .",
    `RUN ${cache}${build} && rm -rf node_modules`,
    "",
    ...lastStage(image, [
      ...(runs ? ["COPY --from=dependencies /app/node_modules node_modules"] : []),
      "COPY --from=build /app ./",
    ]),
  ];
}

function lastStage(image: NodeImage, files: readonly string[], withDevelopment = false): readonly string[] {
  return [
    `FROM ${nodeBase(image.manager, image.version, false)}`,
    // An installation leaves development dependencies out when it sees NODE_ENV.
    ...envLines(withDevelopment ? image.env : { NODE_ENV: "production", ...image.env }),
    "WORKDIR /app",
    ...files,
    ...(withDevelopment ? envLines({ NODE_ENV: "production" }) : []),
    `USER ${appUser}`,
    `EXPOSE ${image.port}`,
    listInstruction("CMD", image.start.words),
  ];
}

/** Whether an installation reads more of the project than its manifest and lock: workspaces, local packages, hooks. */
function needsSource(folder: Folder, manifest: NodeManifest): boolean {
  const all = [...manifest.dependencies.values(), ...manifest.devDependencies.values()];
  return (
    manifest.workspaces ||
    folder.files.includes("pnpm-workspace.yaml") ||
    folder.entries.includes("patches/") ||
    manifest.dependencies.has("@prisma/client") ||
    all.some((range) => /^(file|link|portal|patch|workspace):/.test(range)) ||
    ["preinstall", "install", "postinstall", "prepare"].some((name) => manifest.scripts.has(name))
  );
}
