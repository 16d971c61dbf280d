import { join } from "node:path";
import { build } from "esbuild";
import { banner, plugins } from "../../scripts/bundle-plugins.ts";

/**
 * Bundles a program of the tests as the product's own are: from source it takes many times as long to start, which counts where
 * it is started again and again. @returns its file, in the folder
 */
export async function bundled(source: string, folder: string): Promise<string> {
  await build({
    entryPoints: { program: source },
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node26",
    logLevel: "warning",
    banner,
    plugins: [...plugins],
  });
  return join(folder, "program.mjs");
}
