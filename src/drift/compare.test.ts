import assert from "node:assert/strict";
import test from "node:test";
import { sha256 } from "../model/canonical.ts";
import type { InstanceName } from "../model/names.ts";
import type { ExpectedObservation, InstanceObservation } from "../model/observation.ts";
import { compareObservation } from "./compare.ts";

const expected: ExpectedObservation = {
  name: "shop-production-v1-1" as InstanceName,
  artifact: sha256("a"),
  arguments: ["node", "server.js"],
  environment: ["A=1", "TOKEN=geheim"],
  mounts: ["/ overlay ro", "/tmp tmpfs rw"],
};
const observed: InstanceObservation = { ...expected, imageIntact: true, entered: [] };

test("compareObservation() finds nothing where nothing differs", () => {
  assert.deepEqual(compareObservation(expected, observed), []);
  assert.deepEqual(
    compareObservation(expected, { ...observed, environment: ["TOKEN=geheim", "A=1"] }),
    [],
    "order of variables means nothing",
  );
});

test("compareObservation() names each difference in words", () => {
  const cases: readonly (readonly [Partial<InstanceObservation>, RegExp])[] = [
    [{ artifact: sha256("b") }, /^its root is sha256:/],
    [{ artifact: null }, /not an artifact's/],
    [{ imageIntact: false }, /image file .* touched/],
    [{ arguments: ["sh"] }, /runs "sh" in place of "node server.js"/],
    [{ environment: ["A=1"] }, /"TOKEN" is gone/],
    [{ environment: ["A=1", "TOKEN=geheim", "B=2"] }, /"B" was added/],
    [{ environment: ["A=1", "TOKEN=other"] }, /"TOKEN" has another value/],
    [{ mounts: ["/ overlay rw", "/tmp tmpfs rw"] }, /mount is gone or was changed: "\/ overlay ro"/],
    [{ mounts: [...expected.mounts, "/x ext4 rw"] }, /mount was added/],
    [{ entered: [{ pid: 7, command: "sh -i" }] }, /process 7 entered from outside: "sh -i"/],
  ];
  for (const [change, pattern] of cases)
    assert.match(compareObservation(expected, { ...observed, ...change })[0] ?? "", pattern);
});

test("compareObservation() never shows a variable's value, and bounds what it says", () => {
  const changed = {
    ...observed,
    environment: ["TOKEN=verraten", ...Array.from({ length: 100 }, (_, index) => `N${index}=x`)],
    arguments: ["y".repeat(10_000)],
  };
  const findings = compareObservation(expected, changed);
  assert.ok(findings.length <= 21);
  assert.ok(
    findings.every((finding) => finding.length < 400 && !finding.includes("geheim") && !finding.includes("verraten")),
  );
});
