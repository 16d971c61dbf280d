import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launcher } from "../lib/bronze.ts";
import { figure, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { attempt, run } from "../lib/process.ts";
import { randomFrom } from "../lib/random.ts";

const packages = 500;
const debianEntries = 20_000;
const npmEntries = 10_000;
const releases = ["bullseye", "bookworm", "trixie", "forky", "sid"];
const defaultRuns = 30;

/** `bronze scan --sbom` as a whole process: a bill of 500 packages against 30,000 imported entries. */
export async function scan({ runs, say }: BenchOptions): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-scan-"));
  try {
    const state = ["--state", join(folder, "state")];
    await writeFile(join(folder, "debian.json"), JSON.stringify(tracker()));
    await writeFile(join(folder, "npm.jsonl"), osvLines());
    await writeFile(join(folder, "bill.json"), JSON.stringify(bill()));
    say(`importing ${debianEntries} entries of Debian's format and ${npmEntries} of OSV's`);
    for (const file of ["debian.json", "npm.jsonl"])
      await run(launcher, ["scan", "--import", join(folder, file), ...state]);
    const values: number[] = [];
    let found = 0;
    say(`bronze scan of ${packages} packages`);
    for (let i = 0; i <= (runs ?? defaultRuns); i += 1) {
      const startedAt = performance.now();
      const { status, stdout } = await attempt(launcher, [
        "scan",
        "--json",
        "--sbom",
        join(folder, "bill.json"),
        ...state,
      ]);
      // The first warms what there is to warm.
      if (i > 0) values.push(performance.now() - startedAt);
      if (status !== 3) throw new Error(`bronze scan ended with status ${status}`);
      found = (JSON.parse(stdout) as { findings: unknown[] }).findings.length;
    }
    return {
      figures: [{ ...figure("scan_ms", "ms", 0.5, values), goal: { atMost: 300 } }],
      notes: [
        `${packages} packages, ${debianEntries + npmEntries} entries, ${found} findings; the whole command, Node's start included`,
      ],
      failed: found < packages / 2,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const source = (index: number): string => `source-${index}`;

/** Each entry about one package in five releases, as Debian's are. */
function tracker(): object {
  const random = randomFrom(7);
  const file: Record<string, Record<string, object>> = {};
  for (let i = 0; i < debianEntries; i += 1) {
    const about = (file[source(random(2_000))] ??= {});
    about[`CVE-2024-${10_000 + i}`] = {
      description: "A flaw was found in the parsing of untrusted input, which may lead to a crash or worse. ".repeat(3),
      releases: Object.fromEntries(
        releases.map((release) => [
          release,
          random(10) === 0
            ? { status: "open", urgency: random(2) === 0 ? "unimportant" : "not yet assigned" }
            : { status: "resolved", fixed_version: `1.${random(20)}-1+deb12u${random(5)}`, urgency: "low" },
        ]),
      ),
    };
  }
  return file;
}

function osvLines(): string {
  const random = randomFrom(11);
  return Array.from({ length: npmEntries }, (_, i) =>
    JSON.stringify({
      id: `GHSA-${i}`,
      modified: "2025-01-01T00:00:00Z",
      summary: "Prototype pollution",
      details: "Words about it. ".repeat(60),
      affected: [
        {
          package: { ecosystem: "npm", name: `package-${random(2_000)}` },
          ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, { fixed: `1.${random(20)}.0` }] }],
        },
      ],
    }),
  ).join("\n");
}

function bill(): object {
  const components = Array.from({ length: packages }, (_, i) =>
    i % 5 < 3
      ? {
          purl: `pkg:deb/debian/binary-${i}@1.18-1%2Bdeb12u2?arch=amd64&distro=bookworm&upstream=${source(i * 3)}`,
        }
      : { purl: `pkg:npm/package-${i * 3}@1.18.0` },
  );
  return { bomFormat: "CycloneDX", specVersion: "1.6", components };
}
