import { appUser, envLines, listInstruction } from "./dockerfile-text.ts";
import type { Folder } from "./folder.ts";
import type { FrameworkOutput } from "./node-frameworks.ts";
import type { NodeProject } from "./node-project.ts";
import { copyLines, npmrcOf, type PackageManager } from "./node-packages.ts";
import type { NodeStart } from "./node-start.ts";
import type { Variables } from "./proposal.ts";
import type { RuntimeVersion } from "./versions.ts";

/** All that decides what the Dockerfile of a server says. */
export interface NodeImage extends NodeProject {
  readonly start: NodeStart;
  readonly output: Extract<FrameworkOutput, { kind: "server" }> | null;
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
  const { root, manager, output, build, workspace } = image;
  const keepsDevelopment = image.start.developmentTool !== undefined;
  if (build === undefined && image.tools === undefined && !needsSource(image)) return oneStage(image);
  const inApp = workspace === null ? "" : `${workspace.path}/`;
  const filled = output?.cache ?? null;
  const cache = filled === null ? "" : `--mount=type=cache,target=/app/${inApp}${filled} `;
  const parts = output?.parts ?? null;
  if (build !== undefined && parts === null && !keepsDevelopment && !needsSource(image))
    return threeStages(image, build, cache);
  // pnpm takes nothing away from the packages of a monorepo.
  const isPruned = !keepsDevelopment && parts === null && !(workspace !== null && manager.name === "pnpm");
  return [
    ...buildStage(image, build === undefined ? undefined : `${cache}${build}`, output?.env ?? {}),
    ...(isPruned && manager.prune !== null ? [installLine(root, manager, manager.prune)] : []),
    "",
    ...lastStage(
      image,
      parts === null
        ? ["COPY --from=build /app ./"]
        : parts.map(({ from, to }) => `COPY --from=build /app/${inApp}${from} ${to}`),
    ),
  ];
}

/** A stage that installs everything and builds; sources come late, so that a change in them installs nothing again. */
export function buildStage(project: NodeProject, build: string | undefined, env: Variables): readonly string[] {
  const { root, manager, version, tools } = project;
  const early = needsSource(project);
  return [
    `FROM ${nodeBase(manager, version, tools !== undefined)} AS build`,
    ...envLines({ ...manager.env, ...manager.buildEnv, ...env }),
    "WORKDIR /app",
    ...manager.setUp.map((command) => `RUN ${command}`),
    ...(early ? ["COPY . ."] : copyLines(root, manager)),
    installLine(root, manager, manager.install),
    ...(early ? [] : ["COPY . ."]),
    ...(build === undefined ? [] : [`RUN ${build}`]),
  ];
}

function oneStage(image: NodeImage): readonly string[] {
  const { root, manager, manifest } = image;
  const keepsDevelopment = image.start.developmentTool !== undefined;
  const installs = manifest.dependencies.size > 0 || keepsDevelopment || manager.lock !== null;
  const install = [
    ...manager.setUp.map((command) => `RUN ${command}`),
    ...copyLines(root, manager),
    installLine(root, manager, keepsDevelopment ? manager.install : manager.installProduction),
  ];
  return lastStage(
    { ...image, env: { ...manager.env, ...image.env } },
    [...(installs ? install : []), "COPY . ."],
    keepsDevelopment,
  );
}

/** What is needed to run and what builds are installed beside each other; a changed source leaves the first as it is. */
function threeStages(image: NodeImage, build: string, cache: string): readonly string[] {
  const { root, manager, manifest } = image;
  const runs = manifest.dependencies.size > 0;
  return [
    `FROM ${nodeBase(manager, image.version, image.tools !== undefined)} AS base`,
    ...envLines({ ...manager.env, ...manager.buildEnv, ...image.output?.env }),
    "WORKDIR /app",
    ...manager.setUp.map((command) => `RUN ${command}`),
    ...copyLines(root, manager),
    "",
    ...(runs ? ["FROM base AS dependencies", installLine(root, manager, manager.installProduction), ""] : []),
    "FROM base AS build",
    installLine(root, manager, manager.install),
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
  // What a framework puts together for its server is the whole of /app.
  const workspace = (image.output?.parts ?? null) === null ? image.workspace : null;
  return [
    `FROM ${nodeBase(image.manager, image.version, false)}`,
    // An installation leaves development dependencies out when it sees NODE_ENV.
    ...envLines(withDevelopment ? image.env : { NODE_ENV: "production", ...image.env }),
    "WORKDIR /app",
    ...files,
    ...(withDevelopment ? envLines({ NODE_ENV: "production" }) : []),
    // Programs of packages lie in the monorepo's folder or in the package's own.
    ...(workspace === null
      ? []
      : [
          `ENV PATH=/app/${workspace.path}/node_modules/.bin:/app/node_modules/.bin:$PATH`,
          `WORKDIR /app/${workspace.path}`,
        ]),
    `USER ${appUser}`,
    `EXPOSE ${image.port}`,
    listInstruction("CMD", workspace === null ? image.start.words : fromPath(image.start.words)),
  ];
}

function fromPath([program = "", ...rest]: readonly string[]): readonly string[] {
  return [program.replace(/^node_modules\/\.bin\//, ""), ...rest];
}

/** Whether an installation reads more of the project than its manifest and lock: workspaces, local packages, hooks. */
function needsSource({ root, rootManifest: manifest }: NodeProject): boolean {
  const all = [...manifest.dependencies.values(), ...manifest.devDependencies.values()];
  return (
    manifest.workspaces ||
    root.files.includes("pnpm-workspace.yaml") ||
    root.entries.includes("patches/") ||
    manifest.dependencies.has("@prisma/client") ||
    all.some((range) => /^(file|link|portal|patch|workspace):/.test(range)) ||
    ["preinstall", "install", "postinstall", "prepare"].some((name) => manifest.scripts.has(name))
  );
}
