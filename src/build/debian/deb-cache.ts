import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { chown, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import type { BuildEvent } from "../options.ts";
import { complaints, createPrivateApt, liesIn, withoutPassword } from "./apt.ts";
import type { Archive } from "./archives.ts";
import type { DebianPins, PinnedPackage } from "./pins.ts";
import { asStep, megabytes } from "./step.ts";
import { inWorkDir } from "./work-dir.ts";

/** Packages by what they are: `HEX.deb`, HEX being the sha256. Any may be deleted at any time; that costs a download. */
export interface DebCache {
  /** The file of a package that `ensure` has brought; its bytes were verified when it came. */
  path(item: PinnedPackage): string;
  /**
   * Makes all packages be there, fetching what is missing, and marks them as used now.
   *
   * @throws {OperatorError} `BUILD_FAILED` when a mirror has not got one, `VERIFICATION_FAILED` for bytes that are not the
   * pinned ones, `MACHINE_LACKS`, `DISK_FULL`, `INTERRUPTED`
   */
  ensure(pins: DebianPins): Promise<void>;
  /** Marks what is there as used now, so that it is not the first to go when the cache is full. */
  markUsed(pins: DebianPins): Promise<void>;
  /** Whether no package is missing, and none was found damaged. */
  hasAll(pins: DebianPins): Promise<boolean>;
}

export interface DebCacheOptions {
  readonly cacheDir: string;
  /** Where packages come from; asked only when one is missing. */
  readonly archives: () => Promise<readonly Archive[]>;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

/** As many as one list of arguments holds without trouble. */
const atOnce = 200;
/** What apt writes besides the packages is less. */
const spareBytes = 2 ** 20;
const progressMs = 500;

export function createDebCache(options: DebCacheOptions): DebCache {
  const dir = join(options.cacheDir, "debs");
  const pathOf = (item: PinnedPackage): string => join(dir, `${item.sha256}.deb`);
  const isThere = async (item: PinnedPackage): Promise<boolean> =>
    (await stat(pathOf(item)).catch(() => undefined))?.size === item.sizeBytes;
  const markUsed = async ({ packages }: DebianPins): Promise<void> => {
    const now = new Date();
    await Promise.all(packages.map((item) => utimes(pathOf(item), now, now).catch(() => undefined)));
  };
  return {
    path: pathOf,
    markUsed,
    hasAll: async (pins) => (await Promise.all(pins.packages.map(isThere))).every(Boolean),
    async ensure(pins) {
      const present = await Promise.all(pins.packages.map(isThere));
      const missing = pins.packages.filter((_, index) => present[index] !== true);
      await markUsed(pins);
      if (missing.length === 0) return;
      await mkdir(dir, { recursive: true, mode: 0o755 });
      await inWorkDir(
        join(dir, "partial"),
        (work) => fetchPackages(missing, pins.published, work, pathOf, options),
        (abandoned, work) => adoptPartial(abandoned, work, missing),
      );
    },
  };
}

/** What a killed fetch had of a file is gone on with. */
async function adoptPartial(abandoned: string, work: string, missing: readonly PinnedPackage[]): Promise<void> {
  const files = join(work, "files");
  await mkdir(files, { recursive: true, mode: 0o755 });
  const names = new Set(await readdir(join(abandoned, "files")).catch(() => []));
  for (const { sha256 } of missing) {
    const name = `${sha256}.deb`;
    if (names.has(name)) await rename(join(abandoned, "files", name), join(files, name)).catch(() => undefined);
  }
}

async function fetchPackages(
  missing: readonly PinnedPackage[],
  published: string,
  work: string,
  pathOf: (item: PinnedPackage) => string,
  options: DebCacheOptions,
): Promise<void> {
  const { signal, report } = options;
  const bytes = missing.reduce((sum, item) => sum + item.sizeBytes, 0);
  const step = "packages";
  const files = join(work, "files");
  const timer = setInterval(() => {
    const came = bytesOf(files, missing) + bytesOf(dirname(pathOf(missing[0] as PinnedPackage)), missing);
    report({ kind: "progress", step, text: `${megabytes(came)} of ${megabytes(bytes)}` });
  }, progressMs);
  try {
    await asStep(report, step, `fetch ${missing.length} Debian packages`, async () => {
      const archives = await options.archives();
      await mkdir(files, { recursive: true, mode: 0o755 });
      await mkdir(join(work, "apt"), { mode: 0o755 });
      // apt's methods talk to the network as a user of their own, who needs to write here.
      const user = await sandboxUser();
      if (user !== undefined && process.getuid?.() === 0) await chown(files, user, 0);
      const apt = await createPrivateApt(join(work, "apt"), {
        archives: [],
        architecture: "amd64",
        status: [],
        preferred: [],
        signal,
      });
      for (let from = 0; from < missing.length; from += atOnce) {
        const some = missing.slice(from, from + atOnce);
        const places = some.flatMap((item) => [
          uriOf(item, archives),
          join(files, `${item.sha256}.deb`),
          `SHA256:${item.sha256}`,
        ]);
        const { status, stdout, stderr } = await apt.run(
          "/usr/lib/apt/apt-helper",
          ["-o", "Acquire::Retries=3", "download-file", ...places],
          // A mirror that never ends must not fill the disk.
          Math.max(...some.map((item) => item.sizeBytes)) + spareBytes,
        );
        // Whatever came is kept, also when another one did not.
        for (const item of some) await takeIn(item, join(files, `${item.sha256}.deb`), pathOf(item));
        if (status !== 0) throw await explain(some, archives, published, `${stdout}\n${stderr}`, pathOf);
      }
      return { result: undefined, text: megabytes(bytes) };
    });
  } finally {
    clearInterval(timer);
  }
}

/** Bytes of packages that are in a folder so far. */
function bytesOf(folder: string, packages: readonly PinnedPackage[]): number {
  return packages.reduce(
    (sum, { sha256 }) => sum + (statSync(join(folder, `${sha256}.deb`), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

function uriOf(item: PinnedPackage, archives: readonly Archive[]): string {
  const base = archives.find(({ name }) => name === item.archive)?.uri ?? `http://deb.debian.org/${item.archive}/`;
  // apt leaves files of this machine where they are, unless it is told to copy them.
  return `${base.replace(/^file:/, "copy:")}${item.path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Gives a fetched file its name once its bytes are the pinned ones and on disk. */
async function takeIn(item: PinnedPackage, from: string, to: string): Promise<void> {
  const file = await open(from, "r").catch(() => undefined);
  if (file === undefined) return;
  try {
    if ((await file.stat()).size !== item.sizeBytes) return;
    if (process.getuid?.() === 0) await file.chown(0, 0);
    await file.chmod(0o444);
    await file.sync();
  } finally {
    await file.close();
  }
  if ((await hashOf(from)) === item.sha256) await rename(from, to);
  else await rm(from, { force: true });
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

async function explain(
  some: readonly PinnedPackage[],
  archives: readonly Archive[],
  published: string,
  output: string,
  pathOf: (item: PinnedPackage) => string,
): Promise<OperatorError> {
  const absent: PinnedPackage[] = [];
  for (const item of some) if ((await stat(pathOf(item)).catch(() => undefined)) === undefined) absent.push(item);
  const names = absent
    .slice(0, 5)
    .map((item) => `${item.name} ${item.version}`)
    .join(", ");
  const what = `${names}${absent.length > 5 ? ` and ${absent.length - 5} more` : ""}`;
  const cause = complaints(output);
  if (liesIn(output))
    return new OperatorError(
      "VERIFICATION_FAILED",
      `Cannot take ${what}: its bytes are not those that bronze.lock pins`,
      {
        hint: "somebody on the way changed them, or the mirror is broken: try another mirror in /etc/apt/sources.list.d",
        cause,
      },
    );
  const gone = absent.filter((item) =>
    /^\s+404\s/.test(output.split(`E: Failed to fetch ${uriOf(item, archives)}`)[1] ?? ""),
  );
  const first = gone[0];
  if (first === undefined)
    return new OperatorError("BUILD_FAILED", `Cannot fetch ${what}`, {
      hint: "check that the mirror can be reached (`apt-get update` uses the same one); what is in the cache is not fetched again",
      cause,
    });
  return new OperatorError("BUILD_FAILED", `Cannot fetch ${what}: the mirror has this version no more`, {
    hint: `\`bronze lock --update\` takes today's versions; for the pinned ones put the mirror https://snapshot.debian.org/archive/${first.archive}/${snapshotTime(published)}/ into /etc/apt/sources.list.d and build again`,
    cause: withoutPassword(cause),
  });
}

/** When snapshot.debian.org has surely seen what was published: half a day later. */
function snapshotTime(published: string): string {
  const time = new Date(Date.parse(published) + 12 * 3_600_000);
  return time
    .toISOString()
    .replace(/[-:]/g, "")
    .replace(/\.\d+Z$/, "Z");
}

async function sandboxUser(): Promise<number | undefined> {
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const uid = /^_apt:[^:]*:([0-9]+):/m.exec(users)?.[1];
  return uid === undefined ? undefined : Number(uid);
}
