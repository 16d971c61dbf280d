import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isDigest } from "../../src/model/canonical.ts";
import { createLocalStore } from "../../src/store/local.ts";
import type { Site } from "./bronze.ts";
import { writeRuntime } from "./node-app.ts";

/**
 * Puts an image into the site's store that stands in for the official one of Node: node, npm, a shell and its tools. No
 * registry of images is asked.
 *
 * @param name as FROM names it
 */
export async function putNodeBase(site: Site, name: string): Promise<void> {
  const folder = join(dirname(site.project), "node-base");
  const root = join(folder, "root");
  writeRuntime(root);
  const links = { "/bin/node": "usr/local/bin/node", "../lib/node_modules/npm/bin/npm-cli.js": "usr/local/bin/npm" };
  const tools = ["sh", "rm", "mkdir", "ls", "cat", "env"].map((tool) => [
    tool === "env" ? "usr/bin/env" : `bin/${tool}`,
  ]);
  for (const [path = ""] of tools) link("/bin/busybox", join(root, path));
  for (const [target, path] of Object.entries(links)) link(target, join(root, path));
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  mkdirSync(join(root, "etc"), { recursive: true });
  mkdirSync(join(root, "tmp"), { mode: 0o1777, recursive: true });
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  const npm = join(root, "usr/local/lib/node_modules/npm");
  mkdirSync(npm, { recursive: true });
  const [archive = ""] = packPackages(["npm@10.9.4"], folder);
  execFileSync("tar", ["-xzf", join(folder, archive), "-C", npm, "--strip-components=1"]);
  writeFileSync(
    join(folder, "Dockerfile"),
    'FROM scratch\nCOPY root/ /\nRUN node --version && npm --version\nCMD ["node"]\n',
  );
  writeFileSync(join(folder, "bronze.yaml"), "app: node-base\nbuild: { dockerfile: Dockerfile }\n");
  const build = await site.bronze(["build", "--json"], { cwd: folder });
  if (build.status !== 0) throw new Error(`${build.stderr}${build.stdout}`);
  const { digest } = JSON.parse(build.stdout.trim().split("\n").at(-1) ?? "") as { readonly digest: string };
  if (!isDigest(digest)) throw new Error(`no digest: ${build.stdout}`);
  await createLocalStore(join(site.state, "store")).tag(name, digest);
}

/** Fetches packages of the npm registry as archives into a folder. @returns their file names */
export function packPackages(names: readonly string[], folder: string): readonly string[] {
  mkdirSync(folder, { recursive: true });
  const text = execFileSync("npm", ["pack", "--silent", ...names], { cwd: folder, encoding: "utf8" });
  return text.trim().split("\n");
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}
