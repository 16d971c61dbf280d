import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createSite } from "../support/bronze.ts";

interface Scanned {
  readonly artifact: string;
  readonly liveAs: readonly string[];
  readonly lookedUp: number;
  readonly isNew: boolean;
  readonly findings: readonly { readonly id: string; readonly state: string; readonly fixed: string | null }[];
  readonly changes: { readonly appeared: readonly { readonly id: string }[]; readonly gone: readonly object[] } | null;
}

const bill = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  components: [
    {
      type: "library",
      name: "libc6",
      purl: "pkg:deb/debian/libc6@2.36-9%2Bdeb12u5?arch=amd64&distro=bookworm&upstream=glibc",
    },
    { type: "library", name: "lodash", purl: "pkg:npm/lodash@4.17.20", licenses: [{ license: { id: "MIT" } }] },
  ],
};

const osv = (fixed?: string): string =>
  JSON.stringify({
    id: "GHSA-35jh-r3h4-6jhm",
    aliases: ["CVE-2021-23337"],
    modified: "2025-01-01T00:00:00Z",
    affected: [
      {
        package: { ecosystem: "npm", name: "lodash" },
        ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, ...(fixed === undefined ? [] : [{ fixed }])] }],
      },
    ],
  });

const tracker = JSON.stringify({
  glibc: {
    "CVE-2024-2961": { releases: { bookworm: { status: "resolved", fixed_version: "2.36-9+deb12u6" } } },
    "CVE-2010-4756": { releases: { bookworm: { status: "open", urgency: "unimportant" } } },
  },
});

test("bronze scan looks up what is live, keeps the signed result, and says after an import what changed", async (t) => {
  const site = createSite(t);
  site.define({ instances: 1 });
  assert.equal((await site.bronze(["up", "--http-port", "0"])).status, 0);
  const artifact = (await site.releases())[0]?.artifact ?? "";
  site.write({
    "bill.json": JSON.stringify(bill),
    "npm.json": osv(),
    "npm-2.json": osv("4.17.21"),
    "debian.json": tracker,
  });
  const path = (name: string): string => join(site.project, name);
  await site.bronze(["attest", artifact, "--type", "https://cyclonedx.org/bom", "--predicate", path("bill.json")]);

  const without = await site.bronze(["scan"]);
  assert.equal(without.status, 4, without.stderr);
  assert.match(without.stderr, /no vulnerabilities were imported/);

  const first = await site.bronze(["scan", "--import", path("npm.json"), "--json"]);
  assert.equal(first.status, 3, first.stderr);
  const { scanned } = JSON.parse(first.stdout) as { readonly scanned: readonly Scanned[] };
  assert.deepEqual(
    scanned.map(({ liveAs, findings, changes }) => [liveAs, findings.map(({ id, state }) => [id, state]), changes]),
    [[["shop production v1"], [["GHSA-35jh-r3h4-6jhm", "no fix"]], null]],
  );

  const second = await site.bronze(["scan", "--import", path("npm-2.json")]);
  assert.equal(second.status, 3, second.stderr);
  assert.match(second.stdout, /~ GHSA-35jh-r3h4-6jhm in lodash 4\.17\.20: fixed in 4\.17\.21, was no fix/);
  const third = await site.bronze(["scan", "--import", path("debian.json")]);
  assert.match(third.stdout, /\+ CVE-2024-2961 in glibc 2\.36-9\+deb12u5: fixed in 2\.36-9\+deb12u6/);
  assert.match(third.stdout, /1 ignored by Debian/);

  // What says nothing new is not signed again.
  const again = await site.bronze(["scan", "shop", "--json"]);
  assert.equal(again.status, 3);
  const [result] = JSON.parse(again.stdout) as readonly Scanned[];
  assert.equal(result?.artifact, artifact);
  assert.equal(result?.isNew, false);
  assert.deepEqual(
    result?.findings.map(({ id, fixed }) => [id, fixed]),
    [
      ["CVE-2010-4756", null],
      ["CVE-2024-2961", "2.36-9+deb12u6"],
      ["GHSA-35jh-r3h4-6jhm", "4.17.21"],
    ],
  );

  const licences = await site.bronze(["scan", artifact, "--licences"]);
  assert.equal(licences.status, 0, licences.stderr);
  assert.match(licences.stdout, /^MIT +lodash 4\.17\.20$/m);
});

test("bronze scan says why an artifact cannot be scanned, and refuses options that do not go together", async (t) => {
  const site = createSite(t);
  site.write({ "npm.json": osv(), "bill.json": "{}", "good.json": JSON.stringify(bill) });
  const path = (name: string): string => join(site.project, name);
  for (const [args, status, words] of [
    [["scan", "--import", path("none.json")], 4, /Cannot import/],
    [["scan", "--import", site.project], 2, /Cannot import/],
    [["scan", "--import", path("bill.json")], 2, /neither JSON nor a zip/],
    [["scan", "--add"], 2, /without --import/],
    [["scan", "shop", "--sbom", path("good.json")], 2, /both given/],
    [["scan", "--sbom", path("good.json")], 4, /no vulnerabilities were imported/],
    [["scan", "--import", path("npm.json")], 0, /no daemon runs here/],
    [["scan", "--sbom", path("good.json")], 3, /^/],
    [["scan", "--sbom", path("bill.json")], 2, /no CycloneDX/],
    [["scan", "--sbom", path("none.json")], 4, /Cannot read/],
    [["scan", "other"], 4, /store has no such artifact/],
  ] as const) {
    const result = await site.bronze(args);
    assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}`);
    assert.match(result.stderr, words, args.join(" "));
  }
});
