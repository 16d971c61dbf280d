import { type Folder, folderBelow, readText } from "./folder.ts";
import { frameworkOutput } from "./node-frameworks.ts";
import { parseManifest, type NodeManifest } from "./node-manifest.ts";
import type { PackageManager } from "./node-packages.ts";

/** The package of a monorepo that is the app. */
export interface Workspace {
  readonly path: string;
  readonly folder: Folder;
  readonly manifest: NodeManifest;
  readonly why: string;
}

const usualNames = ["web", "app", "site", "www", "frontend", "server", "api", "backend"];
/** What starts all packages of a monorepo for their developer. */
const forAll = /^(npx )?(turbo|nx|lerna|pnpm (-r|--recursive|--parallel)|concurrently|npm-run-all|run-p)\b/;

/** The app's package where the folder is a monorepo that starts nothing itself. */
export function findWorkspace(folder: Folder, root: NodeManifest): Workspace | undefined {
  if (!root.workspaces && !folder.files.includes("pnpm-workspace.yaml")) return undefined;
  const start = root.scripts.get("start");
  if ((start !== undefined && !forAll.test(start.trim())) || root.main !== null) return undefined;
  const found = folder.files.flatMap((file) => {
    if (!/^([^/]+\/){1,3}package\.json$/.test(file)) return [];
    const path = file.slice(0, -"/package.json".length);
    const below = folderBelow(folder, path);
    const manifest = readManifest(below);
    const runs =
      manifest !== undefined && (manifest.scripts.has("start") || frameworkOutput(below, manifest) !== undefined);
    return runs ? { path, folder: below, manifest } : [];
  });
  const rank = (path: string): number => usualNames.indexOf(path.slice(path.lastIndexOf("/") + 1)) + 1 || 99;
  const [chosen, ...others] = found.toSorted((a, b) => rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1));
  if (chosen === undefined) return undefined;
  const left = others.map(({ path }) => path).join(", ");
  return {
    ...chosen,
    why:
      left === "" ? "it is the only one that can be started" : `${left} can be started too, each as an app of its own`,
  };
}

function readManifest(folder: Folder): NodeManifest | undefined {
  try {
    return parseManifest(readText(folder, "package.json") ?? "");
  } catch {
    // A package that cannot be read is not the app.
    return undefined;
  }
}

/** The command that builds the app: the monorepo's own where it has one, which knows what needs what. */
export function buildCommand(
  manager: PackageManager,
  root: NodeManifest,
  workspace: Workspace | null,
): string | undefined {
  const { name } = manager;
  if (root.scripts.has("build")) return `${name} run build`;
  if (workspace === null || !workspace.manifest.scripts.has("build")) return undefined;
  const { path, manifest } = workspace;
  if (name === "pnpm") return `pnpm --filter "./${path}..." run build`;
  if (name === "yarn") return `yarn workspace ${manifest.name ?? path} run build`;
  return name === "bun" ? `bun run --cwd ${path} build` : `npm run build --workspace=${path}`;
}
