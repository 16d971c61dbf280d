import { existsSync, readFileSync, realpathSync } from "node:fs";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../build/command.ts";
import { readImage } from "../build/image-state.ts";
import type { Digest } from "../model/canonical.ts";
import { parseManifest } from "../image/oci.ts";
import { createLocalStore, type LocalStore } from "../store/local.ts";
import { createTemporaries } from "../store/temporary.ts";
import { bundleType } from "../trust/bundle.ts";

/** What the launcher is to say as long as nothing changes. */
export interface Unchanged {
  readonly state: string;
  readonly folder: string;
  readonly digest: Digest;
  /** Its name in the store. */
  readonly tag: string;
  /** Lines for people. */
  readonly said: readonly string[];
  readonly signal: AbortSignal;
}

const script = join(import.meta.dirname, "../../scripts/unchanged.sh");
/** Looking at more of them takes as long as the command. */
const mostFiles = 20_000;
/** Times of some file systems are whole seconds, or two of them: what changed just now may look the same after the next change. */
const racyMs = 2500;
const mostClockErrorMs = 1000;

/**
 * Lets the launcher answer the next `bronze build` of a folder by itself, until anything that a build reads looks different:
 * called by a build that found nothing to do. Does nothing where that could be wrong: the folder is no clone of its own,
 * variables steer git or the build, or something changed shortly before or while this process ran.
 */
export async function recordUnchanged(result: Unchanged): Promise<void> {
  const { state, folder, digest, tag, said, signal } = result;
  const startedAtMs = performance.timeOrigin;
  const isClone = await stat(join(folder, ".git")).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  // A clock that was set meanwhile may have given a change an old time.
  const clockErrorMs = Math.abs(Date.now() - startedAtMs - performance.now());
  if (!isClone || folder !== process.cwd() || clockErrorMs > mostClockErrorMs) return;
  const look = await runCommand("sh", [script, folder], { signal, timeoutMs: 10_000 });
  const files = look.stdout.split("\n").slice(0, -1);
  if (files.length > mostFiles || files.length === 0 || newestChangeMs(files) > startedAtMs - racyMs) return;
  if (files.some((line) => leadsOut(line, folder)) || isConfiguredElsewhere(folder)) return;
  const store = createLocalStore(join(state, "store"));
  const { manifest } = await readImage(store, digest);
  const blobs = [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)];
  const lines = [
    `folder ${folder}`,
    `digest ${digest}`,
    `tag ${store.tagPath(tag)}`,
    ...(await Promise.all(blobs.map(async (blob) => `blob ${await store.path(blob)}`))),
    ...(await evidenceFiles(store, digest)).map((path) => `blob ${path}`),
    ...said.map((line) => `say ${line}`),
  ];
  if (lines.some((line) => /[\n\\]|\s$/.test(line))) return;
  await write(state, folder, lines, look.stdout);
}

/** What is said of an artifact has to be there too: a build makes it anew where it is gone. */
async function evidenceFiles(store: LocalStore, digest: Digest): Promise<readonly string[]> {
  const files: string[] = [];
  for (const referrer of await store.referrers(digest, bundleType)) {
    const { layers } = parseManifest(await store.read(referrer.digest));
    files.push(store.referrerPath(digest, referrer.digest), await store.path(referrer.digest));
    for (const layer of layers) files.push(await store.path(layer.digest));
  }
  return files;
}

async function write(state: string, folder: string, lines: readonly string[], look: string): Promise<void> {
  const cache = join(state, "cache");
  const room = join(cache, "unchanged");
  const rest = Buffer.from(`${lines.join("\n")}\nend\n`);
  // The size of all before the look, this line included: it has one length.
  const sizeLine = (size: number): string => `size ${String(size).padEnd(8)}\n`;
  const header = sizeLine(rest.byteLength + sizeLine(0).length);
  await mkdir(room, { recursive: true, mode: 0o700 });
  const temporary = await createTemporaries(join(cache, "tmp")).next();
  try {
    await writeFile(temporary, Buffer.concat([Buffer.from(header), rest, Buffer.from(look)]), { mode: 0o600 });
    await rename(temporary, join(room, folder.replaceAll("/", "%")));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Whether a line is about a symlink to what was not looked at, or about submodules, which have clones of their own. */
function leadsOut(line: string, folder: string): boolean {
  if (line.startsWith("f ./.gitmodules ")) return true;
  const link = /^l (\.\/.*)( \S+){8}$/.exec(line)?.[1];
  if (link === undefined) return line.startsWith("l ");
  try {
    return !realpathSync(join(folder, link)).startsWith(`${folder}/`);
  } catch {
    // It leads nowhere, and what may come to be there is not looked at.
    return true;
  }
}

/** Whether git's configuration names further files. */
function isConfiguredElsewhere(folder: string): boolean {
  const home = process.env["HOME"] ?? "";
  const user = join(process.env["XDG_CONFIG_HOME"] ?? join(home, ".config"), "git/config");
  const configs = [join(folder, ".git/config"), "/etc/gitconfig", join(home, ".gitconfig"), user];
  return configs.some(
    (path) => existsSync(path) && /include|(excludes|attributes)file/i.test(readFileSync(path, "utf8")),
  );
}

/** Of lines that end in the time of change. */
function newestChangeMs(files: readonly string[]): number {
  return files.reduce((newest, line) => Math.max(newest, Number(line.slice(line.lastIndexOf(" ") + 1)) * 1000), 0);
}
