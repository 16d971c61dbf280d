/**
 * Bundles the sources into dist/: cli.js (and the chunks it loads on demand), build.js, quick.js, evidence.js and daemon.js.
 *
 * Chunks are named by their content and written before the entries that name them, so a command that runs meanwhile
 * still finds its own; `import.meta` keeps pointing into src/, where data files and workers lie beside their modules.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { build, type BuildOptions, type OutputFile, type Plugin } from "esbuild";
import { banner, plugins } from "./bundle-plugins.ts";

const root = dirname(import.meta.dirname);
const dist = join(root, "dist");
const staleAfterMs = 7 * 86_400_000;

/** What `bronze build`, `rollback`, `status`, `scan` and `verify` run is one file each, which loads in half the time of many. */
const single = ["build", "quick", "evidence"] as const;
const oneFile: Plugin = {
  name: "one-file",
  setup(pluginBuild) {
    for (const name of single)
      pluginBuild.onResolve({ filter: new RegExp(`/run-${name}\\.ts$`) }, () => ({
        path: `./${name}.js`,
        external: true,
      }));
  },
};

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
  banner,
  plugins: [...plugins],
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
const bundled = await Promise.all([
  build({
    ...common,
    entryPoints: { cli: "src/cli/main.ts" },
    splitting: true,
    chunkNames: "chunk-[hash]",
    plugins: [...plugins, oneFile],
  }),
  ...single.map((name) =>
    build({
      ...common,
      entryPoints: { [name]: `src/cli/run-${name}.ts` },
      // Only what builds remembers definitions, and with them what read them.
      ...(name === "build" ? { define: { bronzeBundle: JSON.stringify(bundleName) } } : {}),
      minifySyntax: true,
      minifyWhitespace: true,
    }),
  ),
  build({ ...common, entryPoints: { daemon: "src/cli/daemon-entry.ts" } }),
]);
const entries = new Set(["cli", ...single, "daemon"].map((name) => join(dist, `${name}.js`)));
const outputs = bundled.flatMap(({ outputFiles = [] }) => outputFiles).map(named);
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
