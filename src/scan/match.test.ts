import assert from "node:assert/strict";
import { test } from "node:test";
import type { Affected, AdvisoryRecord, Said } from "./advisory.ts";
import { readTrackerPackage } from "./debian-tracker.ts";
import { compareFindings, counts, matchPackages, type Advisories, type Advisory } from "./match.ts";
import { readPackages } from "./packages.ts";

function lookIn(records: readonly AdvisoryRecord[]): Advisories {
  return (ecosystem, name) =>
    records
      .filter((record) => record.ecosystem === ecosystem && record.name === name)
      .map(({ said, affected }) => ({ affected, said: () => said }));
}

function advisory(id: string, said: Partial<Said> = {}, affected: Partial<Affected> = {}): Advisory {
  return {
    said: () => ({ id, aliases: [], summary: "", ...said }),
    affected: { severity: [], ranges: [{ introduced: "0" }], versions: [], ...affected },
  };
}

const bill = (...components: readonly unknown[]): object => ({
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  components,
});

const tracker = readTrackerPackage("glibc", {
  "CVE-2024-1": { releases: { bookworm: { status: "resolved", fixed_version: "2.36-9+deb12u6" } } },
  "CVE-2024-2": { releases: { bookworm: { status: "open", urgency: "not yet assigned" }, trixie: { status: "open" } } },
  "CVE-2010-3": { releases: { bookworm: { status: "open", urgency: "unimportant" } } },
  "CVE-2023-4": { releases: { bookworm: { status: "open", nodsa: "Minor issue", nodsa_reason: "ignored" } } },
  "CVE-2023-5": { releases: { bookworm: { status: "open", nodsa: "Minor issue", nodsa_reason: "postponed" } } },
  "CVE-2023-6": { releases: { bookworm: { status: "resolved", fixed_version: "0" } } },
  "CVE-2023-7": { releases: { bookworm: { status: "resolved", fixed_version: "2.36-1" } } },
  "CVE-2023-8": { releases: { bookworm: { status: "perhaps" } } },
  nonsense: { releases: {} },
});

test("matchPackages() finds Debian's vulnerabilities by source package and release, in three states", () => {
  const packages = readPackages(
    bill(
      {
        name: "libc6",
        purl: "pkg:deb/debian/libc6@2.36-9%2Bdeb12u5?arch=amd64&distro=bookworm&upstream=glibc",
        components: [
          { name: "libc-bin", purl: "pkg:deb/debian/libc-bin@2.36-9%2Bdeb12u5?distro=debian-12&upstream=glibc" },
        ],
      },
      { name: "glibc", purl: "pkg:deb/debian/glibc@2.41-1?distro=trixie" },
      { name: "glibc", purl: "pkg:deb/ubuntu/glibc@2.35?distro=jammy" },
    ),
  );
  assert.equal(packages.find(({ purl }) => purl.includes("ubuntu"))?.lookUp, null);
  assert.equal(tracker.problems.length, 2);
  const findings = matchPackages(packages, lookIn(tracker.records));
  assert.deepEqual(
    findings.map(({ ecosystem, id, state, fixed, purls }) => [ecosystem, id, state, fixed, purls.length]),
    [
      ["Debian:12", "CVE-2010-3", "ignored by Debian", null, 2],
      ["Debian:12", "CVE-2023-4", "ignored by Debian", null, 2],
      ["Debian:12", "CVE-2023-5", "no fix", null, 2],
      ["Debian:12", "CVE-2024-1", "fix available", "2.36-9+deb12u6", 2],
      ["Debian:12", "CVE-2024-2", "no fix", null, 2],
      ["Debian:13", "CVE-2024-2", "no fix", null, 1],
    ],
  );
  assert.equal(findings.filter(counts).length, 4);
});

test("readPackages() takes the source package's version where it is another than the binary's", () => {
  const [rebuilt, said, upstream] = readPackages(
    bill(
      { purl: "pkg:deb/debian/a@1.0-1%2Bb2?distro=bookworm" },
      {
        purl: "pkg:deb/debian/b@1:7.0-1?distro=bookworm",
        properties: [
          { name: "bronze:source:name", value: "b-src" },
          { name: "bronze:source:version", value: "3.0-1" },
        ],
      },
      { purl: "pkg:deb/debian/c@9-1?distro=bookworm&upstream=c-src%402.0-1" },
    ),
  ).map(({ lookUp }) => lookUp);
  assert.deepEqual(rebuilt, { ecosystem: "Debian:12", name: "a", version: "1.0-1" });
  assert.deepEqual(said, { ecosystem: "Debian:12", name: "b-src", version: "3.0-1" });
  assert.deepEqual(upstream, { ecosystem: "Debian:12", name: "c-src", version: "2.0-1" });
});

test("readPackages() reads npm, PyPI and Go purls, and says why nobody can be looked up", () => {
  const packages = readPackages(
    bill(
      { purl: "pkg:npm/%40scope/name@1.2.3" },
      { purl: "pkg:pypi/Flask_Login@0.6.2" },
      { purl: "pkg:golang/github.com/gorilla/mux@v1.8.0" },
      { purl: "pkg:golang/golang.org/x/net@(devel)" },
      { purl: "pkg:cargo/serde@1.0.0" },
      { purl: "no purl" },
      { name: "a file" },
      "nonsense",
    ),
  );
  assert.deepEqual(
    packages.map(({ lookUp, reason }) => (lookUp === null ? reason : Object.values(lookUp).join(" "))),
    [
      "no data tells of cargo packages",
      "Go github.com/gorilla/mux 1.8.0",
      '"(devel)" is no version of Go',
      "npm @scope/name 1.2.3",
      "PyPI flask-login 0.6.2",
    ],
  );
});

test("readPackages() refuses what is no bill of materials", () => {
  for (const text of [null, [], {}, { bomFormat: "SPDX" }])
    assert.throws(() => readPackages(text), { code: "ARGUMENT_INVALID" });
  let deep: object = { purl: "pkg:npm/a@1.0.0" };
  for (let depth = 0; depth < 100; depth += 1) deep = { components: [deep] };
  assert.throws(() => readPackages(bill(deep)), { code: "ARGUMENT_INVALID" });
});

test("matchPackages() tells a vulnerability once, however its names refer to each other, and loses none of a bundle", () => {
  const at = (advisories: readonly Advisory[]): readonly (readonly string[])[] => {
    const packages = readPackages(bill({ purl: "pkg:npm/x@1.0.0" }));
    return matchPackages(packages, () => advisories).map(({ id, aliases }) => [id, ...aliases]);
  };
  const loop = [
    advisory("A", { aliases: ["B"] }),
    advisory("B", { aliases: ["A", "C"] }),
    advisory("C", { aliases: ["C", "B"] }),
  ];
  assert.deepEqual(at(loop), [["A", "B", "C"]]);
  const bundle = advisory("DSA", { bundles: ["X", "Y"] });
  assert.deepEqual(at([bundle, advisory("X"), advisory("Y")]), [["X"], ["Y"]]);
  assert.deepEqual(at([bundle, advisory("X")]), [["DSA"], ["X"]]);
});

test("compareFindings() says what appeared, what is gone and what changed its state", () => {
  const packages = readPackages(bill({ purl: "pkg:npm/x@1.0.0" }));
  const scan = (...advisories: readonly Advisory[]) => matchPackages(packages, () => advisories);
  const before = scan(advisory("A"), advisory("B"), advisory("C"));
  const now = scan(advisory("B"), advisory("C", {}, { ranges: [{ introduced: "0", fixed: "1.1.0" }] }), advisory("D"));
  const { appeared, gone, changed } = compareFindings(before, now);
  assert.deepEqual(
    [appeared.map(({ id }) => id), gone.map(({ id }) => id), changed.map(({ now: { id, state } }) => [id, state])],
    [["D"], ["A"], [["C", "fix available"]]],
  );
});
