import { type Folder, hasFile, readText } from "./folder.ts";
import type { NodeManifest } from "./node-manifest.ts";

/** What a framework's build makes. */
export type FrameworkOutput =
  | {
      readonly kind: "server";
      readonly framework: string;
      /** Null: as the start script says. */
      readonly command: readonly string[] | null;
      readonly port: number;
      readonly env: Readonly<Record<string, string>>;
      /** Folder of the build stage that becomes /app, and what else goes where in it; null: all of it. */
      readonly parts: readonly { readonly from: string; readonly to: string }[] | null;
      /** Folder that a build fills again and again, and that the server writes to. */
      readonly cache: string | null;
      readonly why: string;
    }
  | {
      readonly kind: "site";
      readonly framework: string;
      readonly folder: string;
      /** Every path without a file is the app's own page. */
      readonly singlePage: boolean;
      /** A folder in it whose files have their hash in their names; null: none. */
      readonly hashed: string | null;
      readonly why: string;
    };

/** Folders of sites that are built to files only, by what builds them. */
const sites: readonly (readonly [dependency: string, folder: string, singlePage: boolean, hashed: string | null])[] = [
  ["react-scripts", "build", true, "static"],
  ["gatsby", "public", false, null],
  ["@docusaurus/core", "build", false, "assets"],
  ["@11ty/eleventy", "_site", false, null],
  ["vitepress", "docs/.vitepress/dist", false, "assets"],
  ["@vue/cli-service", "dist", true, null],
  ["parcel", "dist", false, null],
  ["vite", "dist", true, "assets"],
];

/** What a project's framework makes of it, or undefined where it has none that is known. */
export function frameworkOutput(folder: Folder, manifest: NodeManifest): FrameworkOutput | undefined {
  const has = (name: string): boolean => manifest.dependencies.has(name) || manifest.devDependencies.has(name);
  const server = { env: {}, parts: null, cache: null } as const;
  if (has("next")) return next(folder);
  if (has("nuxt")) {
    if (/nuxt(i)? generate/.test(manifest.scripts.get("build") ?? ""))
      return site(folder, "Nuxt", ".output/public", false, "_nuxt", "scripts.build is nuxt generate");
    return {
      ...server,
      kind: "server",
      framework: "Nuxt",
      command: ["node", "server/index.mjs"],
      port: 3000,
      parts: [{ from: ".output", to: "./" }],
      why: "nuxt is a dependency",
    };
  }
  if (has("@sveltejs/kit")) {
    if (has("@sveltejs/adapter-static"))
      return site(folder, "SvelteKit", "build", true, "_app/immutable", "@sveltejs/adapter-static is a dependency");
    const why = has("@sveltejs/adapter-node")
      ? "@sveltejs/adapter-node is a dependency"
      : "@sveltejs/kit is a dependency; it needs @sveltejs/adapter-node";
    return { ...server, kind: "server", framework: "SvelteKit", command: ["node", "build"], port: 3000, why };
  }
  if (has("astro")) {
    if (!has("@astrojs/node"))
      return site(folder, "Astro", "dist", false, "_astro", "astro is a dependency, @astrojs/node is not");
    return {
      ...server,
      kind: "server",
      framework: "Astro",
      command: ["node", "dist/server/entry.mjs"],
      port: 4321,
      env: { HOST: "0.0.0.0" },
      why: "@astrojs/node is a dependency",
    };
  }
  for (const name of ["@react-router/serve", "@remix-run/serve"]) {
    if (has(name))
      return {
        ...server,
        kind: "server",
        framework: "Remix",
        command: null,
        port: 3000,
        why: `${name} is a dependency`,
      };
  }
  if (has("@angular/core"))
    return site(folder, "Angular", angularFolder(folder), true, null, "@angular/core is a dependency");
  for (const [dependency, output, singlePage, hashed] of sites) {
    if (has(dependency) && isSite(manifest, dependency)) {
      const why = `${dependency} is a dependency and nothing else is started`;
      return site(
        folder,
        dependency === "vite" ? "Vite" : dependency,
        outputFolder(folder, output),
        singlePage,
        hashed,
        why,
      );
    }
  }
  return undefined;
}

function site(
  project: Folder,
  framework: string,
  folder: string,
  singlePage: boolean,
  usualHashed: string | null,
  why: string,
): FrameworkOutput {
  // Files that are copied as they are may lie in that folder too; their names stay when they change.
  const hasOthers = project.files.some((file) => /^(public|static)\//.test(file) && file.includes(`/${usualHashed}/`));
  return { kind: "site", framework, folder, singlePage, hashed: hasOthers ? null : usualHashed, why };
}

function next(folder: Folder): FrameworkOutput {
  const file = ["next.config.js", "next.config.mjs", "next.config.ts"].find((name) => hasFile(folder, name));
  const output = /\boutput\s*:\s*["'`](standalone|export)["'`]/.exec(
    file === undefined ? "" : (readText(folder, file) ?? ""),
  )?.[1];
  if (output === "export") return site(folder, "Next.js", "out", false, "_next/static", `${file} says output: export`);
  const common = {
    kind: "server",
    framework: "Next.js",
    port: 3000,
    env: { NEXT_TELEMETRY_DISABLED: "1" },
    cache: ".next/cache",
  } as const;
  if (output !== "standalone") return { ...common, command: null, parts: null, why: "next is a dependency" };
  return {
    ...common,
    command: ["node", "server.js"],
    parts: [
      { from: ".next/standalone", to: "./" },
      { from: ".next/static", to: ".next/static" },
      ...(folder.entries.includes("public/") ? [{ from: "public", to: "public" }] : []),
    ],
    why: `${file} says output: standalone`,
  };
}

/** Whether a start script only shows the site to its developer. */
function isSite(manifest: NodeManifest, dependency: string): boolean {
  const start = manifest.scripts.get("start");
  if (manifest.scripts.get("build") === undefined) return false;
  if (start === undefined) return manifest.main === null;
  const tool = dependency
    .replace(/^@.*\//, "")
    .replace("core", "docusaurus")
    .replace("cli-service", "vue-cli-service");
  return new RegExp(`^(npx )?(${tool}|vite preview|serve|http-server|npm run (dev|serve|preview))\\b`).test(
    start.trim(),
  );
}

function angularFolder(folder: Folder): string {
  const text = readText(folder, "angular.json") ?? "";
  const named = /"outputPath"\s*:\s*"([A-Za-z0-9._/-]+)"/.exec(text)?.[1];
  const project = /"projects"\s*:\s*\{\s*"([A-Za-z0-9._-]+)"/.exec(text)?.[1] ?? "app";
  const builder = /@angular(?:-devkit)?\/build(?:-angular)?:application/.test(text);
  return `${named ?? `dist/${project}`}${builder ? "/browser" : ""}`;
}

/** The folder that Vite's own configuration names. */
function outputFolder(folder: Folder, usual: string): string {
  const file = ["vite.config.ts", "vite.config.js", "vite.config.mjs"].find((name) => hasFile(folder, name));
  const named = /\boutDir\s*:\s*["'`](?:\.\/)?([A-Za-z0-9_][A-Za-z0-9._/-]*)["'`]/.exec(
    file === undefined ? "" : (readText(folder, file) ?? ""),
  )?.[1];
  return named ?? usual;
}
