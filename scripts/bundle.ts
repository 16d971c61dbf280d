/**
 * Bundles the sources into dist/: cli.js (and the chunks it loads on demand), build.js and daemon.js.
 *
 * Chunks are named by their content and written before the entries that name them, so a command that runs meanwhile
 * still finds its own; `import.meta` keeps pointing into src/, where data files and workers lie beside their modules.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type BuildOptions, type OutputFile, type Plugin } from "esbuild";

const root = dirname(import.meta.dirname);
const dist = join(root, "dist");
const staleAfterMs = 7 * 86_400_000;

const sourcePlaces: Plugin = {
  name: "source-places",
  setup(pluginBuild) {
    pluginBuild.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      if (!text.includes("import.meta.")) return undefined;
      const contents = text
        .replaceAll(/\bimport\.meta\.url\b/g, JSON.stringify(pathToFileURL(path).href))
        .replaceAll(/\bimport\.meta\.dirname\b/g, JSON.stringify(dirname(path)))
        .replaceAll(/\bimport\.meta\.filename\b/g, JSON.stringify(path));
      return { contents, loader: "ts" };
    });
  },
};

/**
 * Node's own modules are taken as they are, each member by itself and only where it is used: an import of ECMAScript would read
 * all of them at the start, and many load more of Node when they are read.
 */
const nodeModules: Plugin = {
  name: "node-modules",
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "node-modules", sideEffects: false } : undefined,
    );
    pluginBuild.onLoad({ filter: /^/, namespace: "node-modules" }, ({ path }) => ({ contents: membersOf(path) }));
  },
};

function membersOf(path: string): string {
  const names = Object.keys(process.getBuiltinModule(path) as object).filter((name) => name !== "default");
  return [
    `const all = /* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(path)});`,
    "export default all;",
    ...names.map((name) => `export const ${name} = /* @__PURE__ */ (() => all.${name})();`),
  ].join("\n");
}

/** What `bronze build` runs is one file, which loads in half the time of many. */
const builds: Plugin = {
  name: "builds",
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /\/run-build\.ts$/ }, () => ({ path: "./build.js", external: true }));
  },
};

const plugins = [sourcePlaces, nodeModules];

const common: BuildOptions = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node26",
  packages: "bundle",
  treeShaking: true,
  write: false,
  logLevel: "warning",
  legalComments: "none",
  // CommonJS dependencies call require for Node's own modules.
  banner: {
    js: "const require = process.getBuiltinModule;",
  },
  plugins,
};

/** Where {@link named} puts the name of what was bundled. */
const bundleName = "(the name of this bundle)";

/** A bundle with its own name in it, by which what depends on its code is remembered. */
function named({ path, text }: OutputFile): { readonly path: string; readonly contents: string } {
  const name = createHash("sha256").update(text).digest("hex");
  return { path, contents: text.replaceAll(bundleName, name) };
}

const startedAt = new Date();
mkdirSync(dist, { recursive: true });
const [cli, builder, daemon] = await Promise.all([
  build({
    ...common,
    entryPoints: { cli: "src/cli/main.ts" },
    splitting: true,
    chunkNames: "chunk-[hash]",
    plugins: [...plugins, builds],
  }),
  build({
    ...common,
    entryPoints: { build: "src/cli/run-build.ts" },
    define: { bronzeBundle: JSON.stringify(bundleName) },
    minifySyntax: true,
    minifyWhitespace: true,
  }),
  build({ ...common, entryPoints: { daemon: "src/cli/daemon-entry.ts" } }),
]);
const entries = new Set(["cli.js", "build.js", "daemon.js"].map((name) => join(dist, name)));
const outputs = [cli, builder, daemon].flatMap(({ outputFiles = [] }) => outputFiles).map(named);
outputs.sort((a, b) => Number(entries.has(a.path)) - Number(entries.has(b.path)));
for (const { path, contents } of outputs) {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

const current = new Set(outputs.map(({ path }) => basename(path)));
for (const name of readdirSync(dist)) {
  const path = join(dist, name);
  if (!name.endsWith(".js") && !name.endsWith(".tmp")) continue;
  // Another start may bundle at the same time and has renamed its temporary file meanwhile.
  const writtenAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? startedAt.getTime();
  if (startedAt.getTime() - writtenAtMs > staleAfterMs && !current.has(name)) rmSync(path, { force: true });
}

// The stamp's time is the start: what changes while bundling is seen by the next start.
const stamp = join(dist, ".bundled");
const temporaryStamp = `${stamp}.${process.pid}.tmp`;
writeFileSync(temporaryStamp, `${root}\n`);
utimesSync(temporaryStamp, startedAt, startedAt);
renameSync(temporaryStamp, stamp);
