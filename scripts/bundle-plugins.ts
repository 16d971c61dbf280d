/** How Bronze's sources are bundled: for scripts/bundle.ts, and for benches that measure a part of it as it is shipped. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import type { Plugin } from "esbuild";

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

/** Those that take milliseconds to load, and that most commands have no use for: they are loaded by the first call of one of their functions. */
const loadedByUse: ReadonlySet<string> = new Set([
  "node:child_process",
  "node:dgram",
  "node:fs/promises",
  "node:http",
  "node:https",
  "node:net",
  "node:readline",
  "node:stream/promises",
  "node:tls",
  "node:worker_threads",
  "node:zlib",
]);

function membersOf(path: string): string {
  const whole = process.getBuiltinModule(path) as { readonly [name: string]: unknown };
  const load = `process.getBuiltinModule(${JSON.stringify(path)})`;
  const names = Object.keys(whole).filter((name) => name !== "default");
  return [
    `const all = /* @__PURE__ */ ${load};`,
    "export default all;",
    ...names.map((name) =>
      loadedByUse.has(path) && isPlainFunction(name, whole[name])
        ? `export const ${name} = (...given) => ${load}.${name}(...given);`
        : `export const ${name} = /* @__PURE__ */ (() => all.${name})();`,
    ),
  ].join("\n");
}

/** No class, and nothing that `promisify` or others find more in than what it does when it is called. */
function isPlainFunction(name: string, value: unknown): boolean {
  return typeof value === "function" && /^[a-z]/.test(name) && Object.getOwnPropertySymbols(value).length === 0;
}

export const plugins: readonly Plugin[] = [sourcePlaces, nodeModules];

/** CommonJS dependencies call require for Node's own modules. */
export const banner = { js: "const require = process.getBuiltinModule;" } as const;
