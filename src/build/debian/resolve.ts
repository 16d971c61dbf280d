import { join } from "node:path";
import type { Json } from "../../model/canonical.ts";
import { changeLock, readLock } from "../lock-file.ts";
import type { BuildEvent } from "../options.ts";
import type { Archive } from "./archives.ts";
import {
  comparePins,
  parsePins,
  pinsToJson,
  requestName,
  type DebianPins,
  type PackageMove,
  type PackageRequest,
  type PinnedPackage,
} from "./pins.ts";
import { solve } from "./solve.ts";
import { inWorkDir } from "./work-dir.ts";

export interface ResolveOptions {
  /** Where bronze.lock is. */
  readonly projectDir: string;
  readonly cacheDir: string;
  readonly archives: () => Promise<readonly Archive[]>;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

/**
 * The packages of a request: those that bronze.lock pins, else those of the archive now, which are then pinned. Versions
 * that another request of the same suite has pinned stay as long as the archive has them.
 *
 * @throws {OperatorError} `DEFINITION_INVALID` for a bad lock, `BUILD_FAILED`, `VERIFICATION_FAILED`, `MACHINE_LACKS`, `INTERRUPTED`
 */
export async function resolvePackages(request: PackageRequest, options: ResolveOptions): Promise<DebianPins> {
  const name = requestName(request);
  const lock = (await readLock(options.projectDir)).debian;
  if (Object.hasOwn(lock, name)) return parsePins(lock[name], name);
  const found = await ask(request, pinnedBeside(request, lock), options);
  const pins = await pin(name, found, options, false);
  options.report({ kind: "note", text: `pinned ${pins.packages.length} Debian packages in bronze.lock` });
  return pins;
}

/** Pins what the archive has now in place of what was pinned. @returns what moved */
export async function updatePackages(
  request: PackageRequest,
  options: ResolveOptions,
): Promise<readonly PackageMove[]> {
  const name = requestName(request);
  const lock = (await readLock(options.projectDir)).debian;
  const before = Object.hasOwn(lock, name) ? parsePins(lock[name], name) : undefined;
  const pins = await ask(request, [], options);
  await pin(name, pins, options, true);
  return comparePins(before, pins);
}

async function ask(
  request: PackageRequest,
  earlier: readonly PinnedPackage[],
  options: ResolveOptions,
): Promise<DebianPins> {
  const { report, signal } = options;
  const startedAt = performance.now();
  const step = "solve";
  report({ kind: "started", step, text: `find packages in Debian ${request.suite}` });
  try {
    const archives = await options.archives();
    const pins = await inWorkDir(join(options.cacheDir, "apt"), (dir) =>
      solve(request, { dir, archives, earlier, signal }),
    );
    report({
      kind: "ended",
      step,
      how: "done",
      ms: performance.now() - startedAt,
      text: `${pins.packages.length} packages`,
    });
    return pins;
  } catch (error) {
    report({ kind: "ended", step, how: "failed", ms: performance.now() - startedAt });
    throw error;
  }
}

/** @returns the pins as the lock has them now: another build may have pinned meanwhile, and what is in the file stays */
async function pin(name: string, pins: DebianPins, options: ResolveOptions, replace: boolean): Promise<DebianPins> {
  const lock = await changeLock(options.projectDir, options.signal, (now) =>
    Object.hasOwn(now.debian, name) && !replace ? now : { ...now, debian: { ...now.debian, [name]: pinsToJson(pins) } },
  );
  return parsePins(lock.debian[name], name);
}

function pinnedBeside(request: PackageRequest, lock: { readonly [name: string]: Json }): readonly PinnedPackage[] {
  const found = new Map<string, PinnedPackage>();
  for (const [name, value] of Object.entries(lock)) {
    if (
      !name.startsWith(`${request.suite}/${request.architecture} `) &&
      !name.startsWith(`${request.suite}/${request.architecture}:`)
    )
      continue;
    for (const item of parsePins(value, name).packages) found.set(item.name, item);
  }
  return [...found.values()];
}
