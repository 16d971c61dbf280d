import { compare as comparePep440, valid as validPep440 } from "@renovatebot/pep440";
// By themselves: all of semver takes longer to load than to use.
import compareSemver from "semver/functions/compare.js";
import validSemver from "semver/functions/valid.js";
import type { Affected, Ecosystem } from "./advisory.ts";
import { compareDebianVersions, isDebianVersion } from "./debian-version.ts";

/** How an ecosystem puts versions in order. */
export interface VersionOrder {
  /** A version as `compare` takes it; null: it is none. */
  normal(version: string): string | null;
  compare(a: string, b: string): number;
}

const longest = 256;
const loose = { loose: true } as const;

const npm: VersionOrder = {
  normal: (version) => validSemver(version, loose),
  compare: (a, b) => compareSemver(a, b, loose),
};

/** Modules have a `v` before the version, the toolchain `go` and sometimes but two numbers: `go1.22rc1`. */
const go: VersionOrder = {
  normal(version) {
    const bare = version.replace(/^(v|go)/, "").replace(/ .*$/, "");
    const parts = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/.exec(bare);
    if (parts === null) return null;
    const [, major = "0", minor = "0", patch = "0", rest = ""] = parts;
    return validSemver(`${major}.${minor}.${patch}${/^[a-z]/.test(rest) ? "-" : ""}${rest}`);
  },
  compare: (a, b) => compareSemver(a, b),
};

const pypi: VersionOrder = {
  normal: (version) => validPep440(version),
  compare: comparePep440,
};

const debian: VersionOrder = {
  normal: (version) => (isDebianVersion(version) ? version : null),
  compare: compareDebianVersions,
};

/** @see Semantic Versioning 2.0.0; PEP 440; Debian policy 5.6.12 */
export function versionOrder(ecosystem: Ecosystem): VersionOrder {
  const order = ecosystem === "npm" ? npm : ecosystem === "PyPI" ? pypi : ecosystem === "Go" ? go : debian;
  return { ...order, normal: (version) => (version.length > longest ? null : order.normal(version.trim())) };
}

/**
 * Whether a version is affected, and from which on it is not any more.
 *
 * @param version as the order's `normal` gives it
 * @returns null: it is not; `fixed` null: no version is said to mend it
 */
export function affects(
  order: VersionOrder,
  { ranges, versions }: Pick<Affected, "ranges" | "versions">,
  version: string,
): { readonly fixed: string | null } | null {
  const reached = (from: string): boolean => from === "0" || order.compare(version, from) >= 0;
  let isIn = versions.includes(version);
  let fixed: string | null = null;
  for (const range of ranges) {
    if (range.fixed !== undefined && order.compare(version, range.fixed) >= 0) continue;
    // The nearest version that mends it, also for one that is but listed.
    if (range.fixed !== undefined && (fixed === null || order.compare(range.fixed, fixed) < 0)) fixed = range.fixed;
    if (range.lastAffected !== undefined && order.compare(version, range.lastAffected) > 0) continue;
    isIn ||= reached(range.introduced);
  }
  return isIn ? { fixed } : null;
}
