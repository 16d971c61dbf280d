import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { openVulnerabilities, vulnerabilityFolder } from "./folder.ts";
import { importVulnerabilities, type ImportResult } from "./import.ts";
import { zipOf } from "./zip-fixture.suite.ts";

const root = mkdtempSync(join(tmpdir(), "bronze-vulnerabilities-"));
after(() => rmSync(root, { recursive: true }));
let number = 0;

const nowMs = Date.UTC(2026, 0, 1);

function site(): string {
  number += 1;
  return mkdtempSync(join(root, `${number}-`));
}

async function take(state: string, content: string | Buffer, add = false): Promise<ImportResult> {
  const path = join(root, "file");
  writeFileSync(path, content);
  return importVulnerabilities(state, path, { add, nowMs, signal: new AbortController().signal });
}

function entry(id: string, ecosystem: string, name: string, events: readonly object[] = [{ introduced: "0" }]): object {
  const type = ecosystem === "npm" || ecosystem === "Go" ? "SEMVER" : "ECOSYSTEM";
  return {
    id,
    modified: "2025-05-05T00:00:00Z",
    affected: [{ package: { ecosystem, name }, ranges: [{ type, events }] }],
  };
}

const tracker = {
  glibc: {
    "CVE-2024-2961": {
      description: "iconv",
      releases: {
        bookworm: { status: "resolved", fixed_version: "2.36-9+deb12u6", urgency: "not yet assigned" },
        sid: { status: "resolved", fixed_version: "0", urgency: "unimportant" },
      },
    },
  },
};

async function ids(state: string, ecosystem: "npm" | "PyPI" | "Go" | "Debian:12", name: string): Promise<string[]> {
  const data = await openVulnerabilities(state);
  const found = data?.advisories(ecosystem, name).map(({ said }) => said().id) ?? [];
  data?.close();
  return found;
}

const refusal = (words: RegExp) => (error: unknown) =>
  error instanceof OperatorError && error.code === "ARGUMENT_INVALID" && words.test(error.message);

test("importVulnerabilities() takes OSV as an entry, as lines, as an array and as a zip archive, and Debian's tracker", async () => {
  const one = entry("GHSA-1", "npm", "left-pad");
  const two = entry("GHSA-2", "npm", "left-pad");
  const zip = zipOf([
    { name: "GHSA-1.json", bytes: Buffer.from(JSON.stringify(one)) },
    { name: "README.txt", bytes: Buffer.from("words") },
    { name: "GHSA-2.json", bytes: Buffer.from(JSON.stringify(two, null, 2)) },
  ]);
  for (const [content, wanted] of [
    [JSON.stringify(one), ["GHSA-1"]],
    [`\u{feff}${JSON.stringify(one, null, 2)}\n`, ["GHSA-1"]],
    [`${JSON.stringify(one)}\n${JSON.stringify(two)}\n`, ["GHSA-1", "GHSA-2"]],
    [JSON.stringify([one, two]), ["GHSA-1", "GHSA-2"]],
    [zip, ["GHSA-1", "GHSA-2"]],
  ] as const) {
    const state = site();
    const { imported } = await take(state, content);
    assert.equal(imported.format, "osv");
    assert.equal(imported.lastUpdate, "2025-05-05T00:00:00Z");
    assert.deepEqual(await ids(state, "npm", "left-pad"), wanted);
  }
  const state = site();
  const { imported } = await take(state, JSON.stringify(tracker));
  assert.deepEqual([imported.format, imported.records, imported.ecosystems], ["debian-tracker", 1, ["Debian:12"]]);
  assert.deepEqual(await ids(state, "Debian:12", "glibc"), ["CVE-2024-2961"]);
});

test("importVulnerabilities() puts a file in the place of earlier ones about the same ecosystems, or beside them where asked to", async () => {
  const state = site();
  await take(state, [entry("A", "npm", "x"), entry("A", "PyPI", "x")].map((each) => JSON.stringify(each)).join("\n"));
  await take(state, JSON.stringify(entry("B", "npm", "x")));
  assert.deepEqual(await ids(state, "npm", "x"), ["B"]);
  assert.deepEqual(await ids(state, "PyPI", "x"), ["A"]);
  await take(state, JSON.stringify(entry("C", "npm", "x")), true);
  assert.deepEqual(await ids(state, "npm", "x"), ["B", "C"]);
  assert.equal((await take(state, JSON.stringify(entry("C", "npm", "x")), true)).isKnown, true);
  await take(state, [entry("D", "npm", "x"), entry("D", "PyPI", "x")].map((each) => JSON.stringify(each)).join("\n"));
  assert.deepEqual(await ids(state, "npm", "x"), ["D"]);
  // Its data, the list and nothing else.
  assert.equal(readdirSync(vulnerabilityFolder(state)).length, 2);
});

test("importVulnerabilities() removes what a killed import left, and changes nothing when it fails", async () => {
  const state = site();
  await take(state, JSON.stringify(entry("A", "npm", "x")));
  writeFileSync(join(vulnerabilityFolder(state), "unfinished-1"), "half");
  await assert.rejects(
    take(state, `${JSON.stringify(entry("B", "npm", "x"))}\n{"id": "C"`),
    refusal(/ends in the middle/),
  );
  assert.equal(readdirSync(vulnerabilityFolder(state)).length, 2);
  assert.deepEqual(await ids(state, "npm", "x"), ["A"]);
});

test("openVulnerabilities() refuses data that was altered since its import", async () => {
  const state = site();
  const { imported } = await take(state, JSON.stringify(entry("A", "npm", "x")));
  const path = join(vulnerabilityFolder(state), imported.kept.slice("sha256:".length));
  truncateSync(path, 8_192);
  await assert.rejects(openVulnerabilities(state), (error: unknown) => {
    return error instanceof OperatorError && error.code === "VERIFICATION_FAILED";
  });
});

test("importVulnerabilities() names what it could not make sense of, and uses the rest", async () => {
  const state = site();
  const lying = [
    entry("GOOD", "npm", "x", [{ introduced: "1.0.0" }, { fixed: "1.2.0" }]),
    entry("BACKWARDS", "npm", "x", [{ introduced: "2.0.0" }, { fixed: "1.0.0" }]),
    entry("NONSENSE", "npm", "x", [{ introduced: "soon" }]),
    entry("EMPTY", "npm", "x", []),
    entry("UNHEARD", "npm", "x", [{ discovered: "1.0.0" }]),
    {
      id: "STRANGE",
      affected: [{ package: { ecosystem: "npm", name: "x" }, ranges: [{ type: "GUESS", events: [] }] }],
    },
    { id: "../../etc/passwd", affected: [] },
    { affected: [{ package: { ecosystem: "npm", name: "x" } }] },
    { id: "WRONG", affected: "everything" },
    { id: "FOREIGN", affected: [{ package: { ecosystem: "crates.io", name: "x" } }] },
    { ...entry("LATER", "npm", "x"), modified: "9999-01-01T00:00:00Z" },
    { ...entry("TAKEN-BACK", "npm", "x"), withdrawn: "2025-01-01T00:00:00Z" },
  ];
  const { imported, problems } = await take(state, JSON.stringify(lying));
  assert.deepEqual(await ids(state, "npm", "x"), ["GOOD", "LATER"]);
  assert.equal(imported.problems, 7);
  assert.equal(imported.lastUpdate, "2025-05-05T00:00:00Z");
  for (const name of ["BACKWARDS", "NONSENSE", "EMPTY", "UNHEARD", "STRANGE"])
    assert.ok(
      problems.some((problem) => problem.startsWith(name)),
      name,
    );
});

test("importVulnerabilities() refuses what is no data, and files that hold none of a known ecosystem", async () => {
  const state = site();
  for (const [content, words] of [
    ["", /neither JSON nor a zip/],
    ["hello", /neither JSON nor a zip/],
    ["{}", /neither JSON nor a zip/],
    ["[]", /no package of npm/],
    ["[1, 2]", /byte 1 /],
    ['[{"id": "A"},]', /byte 13 /],
    [JSON.stringify(entry("A", "crates.io", "x")), /no package of npm/],
    [`[${"[".repeat(500)}`, /byte 1 /],
    [`{"a":${'{"a":'.repeat(500)}`, /too deep/],
  ] as const)
    await assert.rejects(take(state, content), refusal(words), content.slice(0, 40));
  assert.equal(await openVulnerabilities(state), undefined);
});

test("importVulnerabilities() refuses archives in archives, bombs, damage, encryption and files that lie over each other", async () => {
  const state = site();
  const json = Buffer.from(JSON.stringify(entry("A", "npm", "x")));
  const good = zipOf([{ name: "a.json", bytes: json }]);
  const bomb = Buffer.alloc(16 * 2 ** 20, " ");
  for (const [archive, words] of [
    [zipOf([{ name: "all.zip", bytes: good }]), /another archive/],
    [zipOf([{ name: "a.json", bytes: Buffer.alloc(17 * 2 ** 20) }]), /more than 16777216 bytes/],
    [zipOf([{ name: "a.json", bytes: bomb, claims: { size: 100 } }]), /damaged/],
    [zipOf(Array.from({ length: 17 }, (_, index) => ({ name: `${index}.json`, bytes: bomb }))), /100 times its size/],
    [zipOf([{ name: "a.json", bytes: json, claims: { crc: 1 } }]), /checksum/],
    [zipOf([{ name: "a.json", bytes: json, claims: { flags: 1 } }]), /encrypted/],
    [zipOf([{ name: "a.json", bytes: json, claims: { method: 99 } }]), /method 99/],
    [zipOf([{ name: "../../a.json", bytes: json }]), /invalid relative path/],
    [good.subarray(0, good.length - 30), /cannot be read/],
    [withManyEntries(good, 1_000), /lie over each other/],
  ] as const)
    await assert.rejects(take(state, archive), refusal(words), String(words));
  assert.equal(await openVulnerabilities(state), undefined);
});

test("importVulnerabilities() is done with a file of 2 GB within bounded memory", async () => {
  const state = site();
  const path = join(root, "large");
  for (const [begin, words] of [
    ["", /neither JSON nor a zip/],
    ["[", /is none that JSON/],
    ['[{"id": 1', /is 0, which JSON has not/],
    ['[{"id": "', /more than 16777216 bytes/],
    ["PK\u0003\u0004", /zip archive cannot be read/],
  ] as const) {
    writeFileSync(path, begin);
    truncateSync(path, 2 * 2 ** 30);
    const before = process.memoryUsage().rss;
    const signal = new AbortController().signal;
    await assert.rejects(importVulnerabilities(state, path, { add: false, nowMs, signal }), refusal(words), begin);
    assert.ok(process.memoryUsage().rss - before < 300 * 2 ** 20, begin);
  }
  rmSync(path);
});

/** Lists the first file of an archive over and over. */
function withManyEntries(archive: Buffer, count: number): Buffer {
  const at = archive.lastIndexOf(Buffer.from("PK\u0001\u0002", "latin1"));
  const end = archive.length - 22;
  const tail = Buffer.from(archive.subarray(end));
  tail.writeUInt16LE(count, 8);
  tail.writeUInt16LE(count, 10);
  tail.writeUInt32LE((end - at) * count, 12);
  const listed = Array.from({ length: count }, () => archive.subarray(at, end));
  // As long as what it claims to hold is more than the archive itself.
  return Buffer.concat([archive.subarray(0, at), ...listed, tail]);
}
