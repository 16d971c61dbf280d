import { createHash } from "node:crypto";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { TarEntry } from "../../src/image/tar-entry.ts";
import { writeTar } from "../../src/image/tar-write.ts";
import { run } from "../lib/process.ts";

const sourceFiles = 1000;
const sourceLines = 100;
const packages = 24;
const packageFiles = 20;

/** A project of the bench: its folder, and the source line that people change. */
export interface Project {
  readonly folder: string;
  /** Changes one line of one source file to what it never was. */
  changeLine(): Promise<void>;
}

/**
 * Writes a Node app as people have them, committed with git: 1,000 source files of 100 lines, 24 vendored dependencies, and
 * the Dockerfile of that kind.
 */
export async function makeProject(kind: "app" | "cold", folder: string): Promise<Project> {
  await cp(join(import.meta.dirname, kind), folder, { recursive: true });
  const write = async (path: string, content: string | Buffer) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  };
  await write("bronze.yaml", `app: ${kind}\nbuild: { dockerfile: Dockerfile }\n`);
  await write(".dockerignore", "node_modules\n");
  const dependencies: Record<string, string> = {};
  const locked: Record<string, object> = {};
  for (let number = 1; number <= packages; number += 1) {
    const name = `package-${String(number).padStart(2, "0")}`;
    const archive = packageArchive(name);
    const file = `file:vendor/${name}.tgz`;
    await write(`vendor/${name}.tgz`, archive);
    dependencies[name] = file;
    const integrity = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
    locked[`node_modules/${name}`] = { version: "1.0.0", resolved: file, integrity };
  }
  const own = { name: "app", version: "1.0.0" };
  await write("package.json", JSON.stringify({ ...own, type: "module", dependencies }, null, 2));
  const lock = { ...own, lockfileVersion: 3, requires: true, packages: { "": { ...own, dependencies }, ...locked } };
  await write("package-lock.json", JSON.stringify(lock, null, 2));
  for (let number = 0; number < sourceFiles; number += 1) {
    await write(`src/part-${number % 20}/module-${number}.js`, sourceText(`module-${number}`));
  }
  await write("src/server.js", sourceText("server"));
  await commit(folder);
  let change = 0;
  return {
    folder,
    changeLine: () => {
      change += 1;
      return write("src/server.js", `${sourceText("server")}// ${process.pid} ${Date.now()} ${change}\n`);
    },
  };
}

function sourceText(name: string): string {
  return Array.from({ length: sourceLines }, (_, line) => `export const ${name}_${line} = "${name} ${line}";\n`)
    .join("")
    .replaceAll("-", "_");
}

function packageArchive(name: string): Buffer {
  const text = { "package.json": JSON.stringify({ name, version: "1.0.0", main: "lib/file-0.js" }) };
  const files = Object.entries({
    ...text,
    ...Object.fromEntries(
      Array.from({ length: packageFiles }, (_, n) => [`lib/file-${n}.js`, sourceText(`${name}-${n}`)]),
    ),
  });
  const members = files.map(([path, content]) => {
    const bytes = Buffer.from(content);
    const entry: TarEntry = {
      path: `package/${path}`,
      kind: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      size: bytes.byteLength,
      target: "",
    };
    return { entry, content: () => [bytes] };
  });
  return gzipSync(Buffer.concat([...writeTar(members)].map((piece) => Buffer.from(piece))));
}

async function commit(folder: string): Promise<void> {
  const git = (...args: readonly string[]) =>
    run("git", ["-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@localhost", ...args]);
  await git("init", "--quiet");
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "the app");
}
