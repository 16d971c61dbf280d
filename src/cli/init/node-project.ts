import type { Folder } from "./folder.ts";
import { ignoreLines, keepsOut } from "./ignore-lines.ts";
import { nodeBase } from "./node-dockerfile.ts";
import type { NodeManifest } from "./node-manifest.ts";
import { needsTools, npmrcOf, packageManager, type PackageManager } from "./node-packages.ts";
import { buildCommand, findWorkspace, type Workspace } from "./node-workspace.ts";
import type { Assumption } from "./proposal.ts";
import { nodeVersion, type RuntimeVersion } from "./versions.ts";

/** What is found out about a project for Node before how it is started. */
export interface NodeProject {
  /** The folder that is built, and its manifest. */
  readonly root: Folder;
  readonly rootManifest: NodeManifest;
  /** The package that is the app; null: the project itself. */
  readonly workspace: Workspace | null;
  /** The app's own folder and manifest. */
  readonly folder: Folder;
  readonly manifest: NodeManifest;
  readonly manager: PackageManager;
  readonly version: RuntimeVersion;
  /** Why an installation needs compilers or git. */
  readonly tools: string | undefined;
  readonly build: string | undefined;
}

export function readNodeProject(root: Folder, rootManifest: NodeManifest): NodeProject {
  const workspace = findWorkspace(root, rootManifest) ?? null;
  const manifest = workspace?.manifest ?? rootManifest;
  const manager = packageManager(root, rootManifest);
  const version = nodeVersion(root, {
    engines: manifest.engines ?? rootManifest.engines,
    volta: rootManifest.volta,
    types: manifest.devDependencies.get("@types/node") ?? rootManifest.devDependencies.get("@types/node") ?? null,
  });
  return {
    root,
    rootManifest,
    workspace,
    folder: workspace?.folder ?? root,
    manifest,
    manager,
    version,
    tools: needsTools(root, manager),
    build: buildCommand(manager, rootManifest, workspace),
  };
}

/** What is assumed about runtime and packages. */
export function packageFacts({ root, manager, version, tools, workspace }: NodeProject): readonly Assumption[] {
  const base = nodeBase(manager, version, false);
  const isBun = manager.name === "bun";
  return [
    ...(workspace === null ? [] : [{ what: `the app is the package in ${workspace.path}`, why: workspace.why }]),
    {
      what: isBun ? `Bun, from the image ${base}` : `Node.js ${version.tag}, from the image ${base}`,
      why: isBun ? manager.why : version.why,
    },
    { what: `dependencies are installed by ${manager.install}`, why: manager.why },
    ...(tools === undefined
      ? []
      : [{ what: "they are installed in an image with compilers and git", why: `${manager.lock} has ${tools}` }]),
    ...(npmrcOf(root)?.copied === true
      ? [{ what: ".npmrc is used in the build", why: "it is there and holds no token itself" }]
      : []),
  ];
}

export function packageTasks({ root, manager }: NodeProject): readonly string[] {
  const npmrc = npmrcOf(root);
  return [
    ...(manager.lock === null
      ? [
          "there is no lock file, so each build without a cache takes the newest packages: run npm install --package-lock-only, and write npm ci instead of npm install in the Dockerfile",
        ]
      : []),
    ...(npmrc?.variables ?? []).map(
      (name) => `.npmrc takes ${name} from the environment: bronze up --secret id=${name},env=${name}`,
    ),
    ...(npmrc?.copied === false
      ? [".npmrc holds a token and stays out of the image: bronze up --secret id=npmrc,src=.npmrc"]
      : []),
    ...(root.entries.includes(".dockerignore") && !keepsOut(root, "node_modules")
      ? ["add node_modules to .dockerignore: those of this machine would cover those of the image"]
      : []),
  ];
}

export function nodeIgnore(root: Folder): readonly string[] {
  const npmrc = npmrcOf(root);
  return ignoreLines(root, [
    "**/node_modules",
    "**/.next",
    "**/.nuxt",
    "**/.output",
    "**/.svelte-kit",
    "coverage",
    ...(npmrc?.copied === false ? [".npmrc"] : []),
  ]);
}
