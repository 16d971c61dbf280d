import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Json } from "../../model/canonical.ts";
import { changeLock, readLock } from "../lock-file.ts";
import type { BuildEvent } from "../options.ts";
import type { Archive } from "./archives.ts";
import { noPinning, type Pinning, type PinOptions } from "../pins.ts";
import {
  comparePins,
  parsePins,
  pinsToJson,
  requestName,
  type DebianPins,
  type PackageRequest,
  type PinnedPackage,
} from "./pins.ts";
import { solve } from "./solve.ts";
import { asStep } from "./step.ts";
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
  const now = await changeLock(options.projectDir, options.signal, (latest) =>
    Object.hasOwn(latest.debian, name)
      ? latest
      : { ...latest, debian: { ...latest.debian, [name]: pinsToJson(found) } },
  );
  // Another build may have pinned meanwhile: what is in the file counts.
  const pins = parsePins(now.debian[name], name);
  options.report({ kind: "note", text: `pinned ${pins.packages.length} Debian packages in bronze.lock` });
  return pins;
}

/**
 * Finds out what `bronze lock` is to pin of a request. With `only` the other packages keep their versions as far as those
 * named can do with them.
 *
 * @throws {OperatorError} `NOT_FOUND` for a name in `only` that is not pinned
 */
export async function pinPackages(
  request: PackageRequest,
  options: ResolveOptions & Pick<PinOptions, "update" | "only">,
): Promise<Pinning> {
  const name = requestName(request);
  const lock = (await readLock(options.projectDir)).debian;
  const before = Object.hasOwn(lock, name) ? parsePins(lock[name], name) : undefined;
  if (before !== undefined && !options.update) return noPinning;
  const only = new Set(options.only);
  const known = new Set([...(before?.packages ?? []).map((item) => item.name), ...request.packages]);
  const stranger = options.only.find((item) => !known.has(item));
  if (stranger !== undefined)
    throw new OperatorError("NOT_FOUND", `Cannot pin ${stranger}: it is no package of this recipe`, {
      hint: "`bronze lock --update` without names pins all; bronze.lock names the packages that the recipe needs",
    });
  const earlier = before === undefined ? pinnedBeside(request, lock) : only.size > 0 ? before.packages : [];
  const pins = await ask(
    request,
    earlier.filter((item) => !only.has(item.name)),
    options,
  );
  return {
    changes: comparePins(before, pins).map((move) => ({ kind: "package", ...move })),
    apply: (now) =>
      Object.hasOwn(now.debian, name) && !options.update
        ? now
        : { ...now, debian: { ...now.debian, [name]: pinsToJson(pins) } },
  };
}

async function ask(
  request: PackageRequest,
  earlier: readonly PinnedPackage[],
  options: ResolveOptions,
): Promise<DebianPins> {
  const { report, signal, cacheDir } = options;
  return await asStep(report, "solve", `find packages in Debian ${request.suite}`, async () => {
    const archives = await options.archives();
    const result = await inWorkDir(join(cacheDir, "tmp"), (dir) => solve(request, { dir, archives, earlier, signal }));
    return { result, text: `${result.packages.length} packages` };
  });
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
