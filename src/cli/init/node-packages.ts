import { type Folder, hasFile, readText } from "./folder.ts";
import type { NodeManifest } from "./node-manifest.ts";
import { hasSecretShape } from "./secrets.ts";

/** How a project's dependencies are installed. */
export interface PackageManager {
  readonly name: "npm" | "pnpm" | "yarn" | "bun";
  /** The lock file; null: there is none. */
  readonly lock: string | null;
  /** Commands that bring the manager itself into the image. */
  readonly setUp: readonly string[];
  readonly install: string;
  /** Installs what is needed to run, and nothing else. */
  readonly installProduction: string;
  /** Takes what was needed to build away; null: it cannot. */
  readonly prune: string | null;
  readonly cache: string;
  readonly env: Readonly<Record<string, string>>;
  /** The same for stages that build: nothing but packages is asked for. */
  readonly buildEnv: Readonly<Record<string, string>>;
  /** Why this one. */
  readonly why: string;
}

const npm = {
  name: "npm",
  setUp: [],
  cache: "/root/.npm",
  prune: "npm prune --omit=dev",
  env: {},
  buildEnv: { npm_config_audit: "false", npm_config_update_notifier: "false" },
} as const;

export function packageManager(folder: Folder, manifest: NodeManifest): PackageManager {
  const asked = manifest.packageManager;
  if (hasFile(folder, "pnpm-lock.yaml")) return pnpm(folder, asked);
  if (hasFile(folder, "yarn.lock")) return yarn(folder, asked);
  const bunLock = ["bun.lock", "bun.lockb"].find((name) => hasFile(folder, name));
  if (bunLock !== undefined) {
    return {
      name: "bun",
      lock: bunLock,
      setUp: [],
      install: "bun install --frozen-lockfile",
      installProduction: "bun install --frozen-lockfile --production",
      prune: null,
      cache: "/root/.bun/install/cache",
      env: {},
      buildEnv: {},
      why: `${bunLock} is there`,
    };
  }
  const lock = ["package-lock.json", "npm-shrinkwrap.json"].find((name) => hasFile(folder, name));
  if (lock !== undefined)
    return { ...npm, lock, install: "npm ci", installProduction: "npm ci --omit=dev", why: `${lock} is there` };
  return {
    ...npm,
    lock: null,
    install: "npm install",
    installProduction: "npm install --omit=dev",
    why: "there is no lock file",
  };
}

function pnpm(folder: Folder, asked: string | null): PackageManager {
  const lockVersion = /^lockfileVersion:\s*'?([0-9]+)/m.exec(readText(folder, "pnpm-lock.yaml") ?? "")?.[1];
  const version = versionOf("pnpm", asked) ?? (lockVersion === "5" ? "7" : lockVersion === "6" ? "8" : "10");
  return {
    name: "pnpm",
    lock: "pnpm-lock.yaml",
    setUp: [`npm install --global pnpm@${version}`],
    install: "pnpm install --frozen-lockfile",
    installProduction: "pnpm install --frozen-lockfile --prod",
    // Without CI it asks before it removes anything.
    prune: "CI=true pnpm prune --prod",
    cache: "/root/.local/share/pnpm/store",
    env: {},
    buildEnv: {},
    why: "pnpm-lock.yaml is there",
  };
}

function yarn(folder: Folder, asked: string | null): PackageManager {
  const metadata = /^__metadata:\s*\n\s+version: ([0-9]+)/m.exec(readText(folder, "yarn.lock") ?? "")?.[1];
  const common = { name: "yarn", lock: "yarn.lock", why: "yarn.lock is there", buildEnv: {} } as const;
  if (metadata === undefined) {
    const version = versionOf("yarn", asked) ?? "1.22.22";
    return {
      ...common,
      // Some images have a yarn of their own.
      setUp: [`npm install --global --force yarn@${version}`],
      install: "yarn install --frozen-lockfile",
      installProduction: "yarn install --frozen-lockfile --production",
      prune: "yarn install --frozen-lockfile --production --ignore-scripts --prefer-offline",
      cache: "/usr/local/share/.cache/yarn",
      env: {},
    };
  }
  const own = /^yarnPath:\s*["']?(\.yarn\/releases\/[A-Za-z0-9._-]+\.cjs)/m.exec(
    readText(folder, ".yarnrc.yml") ?? "",
  )?.[1];
  const version = versionOf("yarn", asked) ?? (Number(metadata) >= 8 ? "4" : "3");
  const command = own === undefined ? "yarn" : `node ${own}`;
  return {
    ...common,
    setUp: own === undefined ? [`npm install --global --force @yarnpkg/cli-dist@${version}`] : [],
    install: `${command} install --immutable`,
    installProduction: `${command} workspaces focus --all --production`,
    prune: Number(metadata) >= 8 ? `${command} workspaces focus --all --production` : null,
    cache: "/root/.yarn/berry/cache",
    // Programs are started by node itself, which knows folders of modules only.
    env: { YARN_NODE_LINKER: "node-modules" },
  };
}

function versionOf(name: string, asked: string | null): string | undefined {
  return asked?.startsWith(`${name}@`) === true ? asked.slice(name.length + 1) : undefined;
}

/** Instructions that bring what an installation reads. */
export function copyLines(folder: Folder, manager: PackageManager): readonly string[] {
  const names = ["package.json", manager.lock, ".yarnrc.yml", ".yarnrc", "pnpm-workspace.yaml", ".pnpmfile.cjs"];
  const files = [
    ...names.filter((name): name is string => name !== null && hasFile(folder, name)),
    ...(npmrcOf(folder)?.copied === true ? [".npmrc"] : []),
  ];
  const folders = manager.install.includes(".yarn/releases/") ? [".yarn/releases"] : [];
  return [`COPY ${files.join(" ")} ./`, ...folders.map((path) => `COPY ${path} ${path}`)];
}

/** What is in .npmrc that an installation needs. */
export interface Npmrc {
  /** It may go into a layer: it holds no token itself. */
  readonly copied: boolean;
  /** Variables it takes tokens from. */
  readonly variables: readonly string[];
}

export function npmrcOf(folder: Folder): Npmrc | undefined {
  const text = readText(folder, ".npmrc");
  if (text === undefined) return undefined;
  const lines = text.split("\n").filter((line) => !/^\s*[#;]/.test(line));
  const literal = lines.some(
    (line) =>
      (/(_authToken|_auth|_password|:username)\s*=\s*(?!\s*\$\{)\S/.test(line) || hasSecretShape(line)) &&
      !/\$\{\w+\}/.test(line),
  );
  const variables = lines.flatMap((line) =>
    [...line.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\??\}/g)].map((match) => match[1] ?? ""),
  );
  return { copied: !literal, variables: [...new Set(variables)] };
}

/** A dependency that may have to be compiled, or fetched by git, when it is installed. */
export function needsTools(folder: Folder, manager: PackageManager): string | undefined {
  const text = manager.lock === null || manager.lock === "bun.lockb" ? "" : (readText(folder, manager.lock) ?? "");
  const name =
    /(?:node_modules\/|^\s*["'/]?)(node-gyp-build|node-gyp|prebuild-install|node-addon-api|@mapbox\/node-pre-gyp|nan)(?=["'@/:])/m.exec(
      text,
    )?.[1];
  if (name !== undefined) return name;
  return /git\+(?:https|ssh):|codeload\.github\.com/.test(text) ? "a dependency in git" : undefined;
}
