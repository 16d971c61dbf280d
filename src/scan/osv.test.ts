import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ecosystem } from "./advisory.ts";
import { readOsv } from "./osv.ts";
import { affects, versionOrder } from "./version-order.ts";

interface Case {
  readonly ecosystem: Ecosystem;
  readonly events: readonly object[];
  readonly versions?: readonly string[];
  readonly inside: readonly string[];
  readonly outside: readonly string[];
}

const cases: readonly Case[] = [
  {
    ecosystem: "npm",
    events: [{ introduced: "0" }, { fixed: "4.17.21" }],
    inside: ["0.0.0-alpha", "4.17.20", "4.17.21-rc.1"],
    outside: ["4.17.21", "5.0.0"],
  },
  {
    // In any order, several stretches.
    ecosystem: "npm",
    events: [{ fixed: "2.3.0" }, { introduced: "1.0.0" }, { fixed: "1.5.0" }, { introduced: "2.0.0" }],
    inside: ["1.0.0", "1.4.9", "2.2.9"],
    outside: ["0.9.0", "1.5.0", "1.9.0", "2.3.0"],
  },
  {
    ecosystem: "npm",
    events: [{ introduced: "1.0.0" }, { last_affected: "1.2.0" }],
    versions: ["0.5.0"],
    inside: ["1.2.0", "0.5.0"],
    outside: ["1.2.1", "0.5.1"],
  },
  { ecosystem: "npm", events: [{ introduced: "1.0.0" }, { fixed: "1.0.0" }], inside: [], outside: ["1.0.0", "2.0.0"] },
  {
    // PEP 440: epochs, pre-releases, post-releases, local versions.
    ecosystem: "PyPI",
    events: [{ introduced: "2.0rc1" }, { fixed: "2.2.post1" }],
    inside: ["2.0rc1", "2.0", "2.2", "2.2+local.1"],
    outside: ["2.0b5", "2.0.dev1", "2.2.post1", "1!0.1"],
  },
  {
    ecosystem: "Go",
    events: [{ introduced: "0" }, { fixed: "0.0.0-20220314234659-1baeb1ce4c0b" }, { introduced: "1.0.0" }],
    inside: ["v0.0.0-20210101000000-abcdefabcdef", "v1.2.3", "v2.0.0+incompatible", "go1.22"],
    outside: ["v0.0.0-20220314234659-1baeb1ce4c0b", "v0.1.0"],
  },
  {
    ecosystem: "Go",
    events: [{ introduced: "1.22.0-0" }, { fixed: "1.22.2" }],
    inside: ["1.22rc1", "go1.22", "1.22.1"],
    outside: ["go1.22.2", "1.21.9"],
  },
  {
    ecosystem: "Debian:12",
    events: [{ introduced: "0" }, { fixed: "2.36-9+deb12u6" }],
    inside: ["2.36-9", "2.36-9+deb12u5", "0~1"],
    outside: ["2.36-9+deb12u6", "2.36-9+deb12u10", "1:0"],
  },
];

test("readOsv() and affects() tell which versions a range holds, in each ecosystem's order", () => {
  for (const { ecosystem, events, versions = [], inside, outside } of cases) {
    const order = versionOrder(ecosystem);
    const { records, problems } = readOsv({
      id: "X",
      affected: [{ package: { ecosystem, name: "p" }, ranges: [{ type: "ECOSYSTEM", events }], versions }],
    });
    assert.deepEqual(problems, []);
    const advisory = records[0]?.affected ?? { ranges: [], versions: [] };
    for (const version of [...inside, ...outside]) {
      const normal = order.normal(version);
      assert.ok(normal !== null, version);
      assert.equal(affects(order, advisory, normal) !== null, inside.includes(version), `${ecosystem} ${version}`);
    }
  }
});

test("affects() names the nearest version that mends", () => {
  const order = versionOrder("npm");
  const ranges = [
    { introduced: "2.0.0", fixed: "2.3.0" },
    { introduced: "0", fixed: "1.5.0" },
  ];
  assert.deepEqual(affects(order, { ranges, versions: [] }, "1.0.0"), { fixed: "1.5.0" });
  assert.deepEqual(affects(order, { ranges, versions: [] }, "2.1.0"), { fixed: "2.3.0" });
  assert.deepEqual(affects(order, { ranges: [{ introduced: "0" }], versions: [] }, "2.1.0"), { fixed: null });
});

test("readOsv() writes Python's names in the one way, and takes no others for the same", () => {
  const named = (ecosystem: string, name: string): string | undefined =>
    readOsv({ id: "X", affected: [{ package: { ecosystem, name }, versions: ["1.0.0"] }] }).records[0]?.name;
  assert.equal(named("PyPI", "Zope.Interface_x"), "zope-interface-x");
  assert.equal(named("npm", "@scope/Name"), "@scope/Name");
  assert.equal(named("Go", "github.com/Foo/bar"), "github.com/Foo/bar");
  assert.equal(named("Debian", "glibc"), undefined);
});

test("readOsv() keeps names of the same vulnerability apart from those of a bundle", () => {
  const about = { affected: [{ package: { ecosystem: "Debian:12", name: "x" }, versions: ["1"] }] };
  const single = readOsv({ id: "DEBIAN-CVE-1", upstream: ["CVE-1"], ...about }).records[0]?.said;
  assert.deepEqual([single?.aliases, single?.bundles], [["CVE-1"], undefined]);
  const bundle = readOsv({ id: "DSA-1", upstream: ["CVE-1", "CVE-2"], ...about }).records[0]?.said;
  assert.deepEqual([bundle?.aliases, bundle?.bundles], [[], ["CVE-1", "CVE-2"]]);
});
