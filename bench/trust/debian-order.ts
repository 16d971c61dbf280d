import { compareDebianVersions, isDebianVersion } from "../../src/scan/debian-version.ts";
import type { BenchOptions, BenchResult } from "../lib/figures.ts";
import { require, type Need } from "../lib/packages.ts";
import { run } from "../lib/process.ts";
import { versionPairs } from "./version-pairs.ts";

const dpkgPerl: Need = { path: "/usr/share/perl5/Dpkg/Version.pm", package: "libdpkg-perl" };
const defaultPairs = 1_000_000;
const processPairs = 4_000;

const byDpkgPerl = `use Dpkg::Version; while (<>) { chomp; my ($a, $b) = split /\\t/; print version_compare($a, $b), "\\n" }`;
const byDpkg = `while (<>) { chomp; my ($a, $b) = split /\\t/;
  print system("dpkg", "--compare-versions", $a, "lt", $b) == 0 ? -1 : system("dpkg", "--compare-versions", $a, "gt", $b) == 0 ? 1 : 0, "\\n" }`;

/**
 * Our order against dpkg's own: all pairs by its Perl library, `Dpkg::Version`, and the first of them by
 * `dpkg --compare-versions`, which is two processes a pair.
 */
export async function debianOrder({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(dpkgPerl);
  const real = await realVersions();
  const count = runs ?? defaultPairs;
  const pairs = versionPairs(real, count, 20_240_229).filter(([a, b]) => isDebianVersion(a) && isDebianVersion(b));
  say(`${pairs.length} pairs, half of them of ${real.length} real versions, by Dpkg::Version`);
  const half = Math.ceil(pairs.length / 2);
  const theirs = await Promise.all([asked(byDpkgPerl, pairs.slice(0, half)), asked(byDpkgPerl, pairs.slice(half))]);
  const sample = pairs.slice(0, processPairs);
  say(`the first ${sample.length} by dpkg --compare-versions`);
  const differing = [
    ...differences(pairs, theirs.flat(), "Dpkg::Version"),
    ...differences(sample, await asked(byDpkg, sample), "dpkg"),
  ];
  return {
    figures: [
      {
        name: "debian_order_differences",
        value: differing.length,
        unit: "pairs",
        runs: pairs.length + sample.length,
        goal: { atMost: 0 },
      },
    ],
    notes: [
      `${pairs.length} pairs by Dpkg::Version, ${sample.length} of them also by dpkg --compare-versions`,
      ...differing.slice(0, 10),
    ],
    failed: pairs.length < count * 0.9,
  };
}

/** Versions of all packages that apt knows here, installed or not. */
async function realVersions(): Promise<readonly string[]> {
  const listed = await run("apt-cache", ["dumpavail"]);
  const versions = new Set([...listed.matchAll(/^Version: (.+)$/gm)].map(([, version = ""]) => version));
  return [...versions].filter(isDebianVersion).sort();
}

async function asked(script: string, pairs: readonly (readonly [string, string])[]): Promise<readonly number[]> {
  const stdin = pairs.map(([a, b]) => `${a}\t${b}\n`).join("");
  const answers = (await run("perl", ["-e", script], { stdin })).trimEnd().split("\n").map(Number);
  if (answers.length !== pairs.length) throw new Error(`${pairs.length} pairs were asked, ${answers.length} answered`);
  return answers;
}

function differences(
  pairs: readonly (readonly [string, string])[],
  theirs: readonly number[],
  who: string,
): readonly string[] {
  return pairs.flatMap(([a, b], index) => {
    const ours = Math.sign(compareDebianVersions(a, b));
    const wanted = Math.sign(theirs[index] ?? Number.NaN);
    return ours === wanted ? [] : [`${a} against ${b}: ${ours}, by ${who} ${wanted}`];
  });
}
