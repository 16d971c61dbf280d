import { OperatorError } from "../../errors/operator-error.ts";
import type { Json } from "../../model/canonical.ts";

/** Debian's archives; a package's path is the same on every mirror of one. */
export type ArchiveName = "debian" | "debian-security";

/** A binary package, to the byte. */
export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** Of the package: that of the machine, or `all`. */
  readonly architecture: string;
  readonly archive: ArchiveName;
  /** In the archive: `pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb`. */
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Source package and its version, which vulnerabilities are told by. */
  readonly source: { readonly name: string; readonly version: string };
}

/** What a recipe's packages meant when apt was asked. */
export interface DebianPins {
  /** When the newest of the archive's indices was published: `2026-11-18T22:17:41Z`. */
  readonly published: string;
  /** Sorted by name; one version each. */
  readonly packages: readonly PinnedPackage[];
}

/** What decides which packages a recipe gets. */
export interface PackageRequest {
  readonly suite: string;
  readonly architecture: string;
  /** Sorted, each once. */
  readonly packages: readonly string[];
  /** Whether what packages recommend comes too. */
  readonly recommends: boolean;
  /** Whether it is a whole system: essential and required packages, and apt. */
  readonly full: boolean;
}

const mostPackages = 5000;
const mostPackageBytes = 4 * 2 ** 30;

/** The name of a request's pins in the lock: `bookworm/amd64: nodejs tzdata`. */
export function requestName(request: PackageRequest): string {
  const how = [request.full ? " full" : "", request.recommends ? " with recommends" : ""].join("");
  return `${request.suite}/${request.architecture}${how}: ${request.packages.join(" ")}`.trim();
}

/** The form of pins in `bronze.lock`. */
export function pinsToJson(pins: DebianPins): Json {
  return {
    published: pins.published,
    packages: Object.fromEntries(
      pins.packages.map((item) => [
        item.name,
        {
          version: item.version,
          architecture: item.architecture,
          from: `${item.archive}/${item.path}`,
          sha256: item.sha256,
          size: item.sizeBytes,
          source: `${item.source.name} ${item.source.version}`,
        },
      ]),
    ),
  };
}

/**
 * Reads pins of the lock, which anybody may have edited.
 *
 * @param name of the entry, for the error
 * @throws {OperatorError} `DEFINITION_INVALID` naming what is wrong
 */
export function parsePins(value: unknown, name: string): DebianPins {
  const refuse = (state: string): OperatorError =>
    new OperatorError("DEFINITION_INVALID", `Cannot read bronze.lock: debian["${name}"] ${state}`, {
      hint: "take the file from version control again, or run `bronze lock --update` to pin what is newest now",
    });
  if (!isRecord(value) || !isRecord(value["packages"])) throw refuse("has no packages");
  const { published, packages } = value;
  if (typeof published !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(published))
    throw refuse("has no time of publication");
  const entries = Object.entries(packages);
  if (entries.length > mostPackages)
    throw refuse(`names ${entries.length} packages, at most ${mostPackages} are taken`);
  return {
    published,
    packages: entries
      .map(([packageName, pin]) => {
        const parsed = isPackageName(packageName) ? parsePin(packageName, pin) : undefined;
        if (parsed === undefined) throw refuse(`holds a package that is none: "${packageName.slice(0, 100)}"`);
        return parsed;
      })
      .sort(byName),
  };
}

function parsePin(name: string, value: unknown): PinnedPackage | undefined {
  if (!isRecord(value)) return undefined;
  const text = (key: string, shape: RegExp): string | undefined => {
    const field = value[key];
    return typeof field === "string" && field.length <= 500 && shape.test(field) ? field : undefined;
  };
  const version = text("version", /^[A-Za-z0-9.+:~-]+$/);
  const architecture = text("architecture", /^[a-z0-9-]+$/);
  const from = /^(debian|debian-security)\/(pool\/[A-Za-z0-9][A-Za-z0-9.+~_/:-]*)$/.exec(text("from", /^/) ?? "");
  const sha256 = text("sha256", /^[0-9a-f]{64}$/);
  const source = /^([a-z0-9][a-z0-9+.-]*) ([A-Za-z0-9.+:~-]+)$/.exec(text("source", /^/) ?? "");
  const size = value["size"];
  if (version === undefined || architecture === undefined || sha256 === undefined || from === null || source === null)
    return undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 1 || size > mostPackageBytes) return undefined;
  const [, archive, path] = from;
  if (path === undefined || path.split("/").some((part) => part === "" || part === "." || part === ".."))
    return undefined;
  return {
    name,
    version,
    architecture,
    archive: archive as ArchiveName,
    path,
    sha256,
    sizeBytes: size,
    source: { name: source[1] as string, version: source[2] as string },
  };
}

/** A package whose version is another one than before; `from` or `to` is null where it came or went. */
export interface PackageMove {
  readonly name: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What differs between two sets of pins, by name. */
export function comparePins(old: DebianPins | undefined, now: DebianPins): readonly PackageMove[] {
  const before = new Map((old?.packages ?? []).map((item) => [item.name, item]));
  const after = new Map(now.packages.map((item) => [item.name, item]));
  const moves: PackageMove[] = [];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const from = before.get(name);
    const to = after.get(name);
    if (from?.sha256 !== to?.sha256) moves.push({ name, from: from?.version ?? null, to: to?.version ?? null });
  }
  return moves;
}

export function isPackageName(name: string): boolean {
  return /^[a-z0-9][a-z0-9+.-]{1,100}$/.test(name);
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
