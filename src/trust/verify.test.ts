import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sha256 } from "../model/canonical.ts";
import { readBundle, serialiseBundle } from "./bundle.ts";
import { keyIdOf, signPayload } from "./envelope.ts";
import { artifact, bundleOf, kind, LogWriter, manifest, newKey, said } from "./fixture.suite.ts";
import type { TrustMaterial } from "./standing.ts";
import { serialiseStatement, statementType, type Statement } from "./statement.ts";
import { verifyArtifact, type Decision, type TrustPolicy } from "./verify.ts";

const key = newKey();
const trust = new LogWriter().bring(key).trust;
const nowMs = Date.parse("2026-06-01T00:00:00Z");
const policy: TrustPolicy = { required: [kind] };
const statement = sha256(serialiseStatement(said));

function decide(
  bundles: readonly Uint8Array[],
  change: { trust?: TrustMaterial; policy?: TrustPolicy; nowMs?: number } = {},
): Decision {
  const found = bundles.map((bytes, index) => ({ manifest: sha256(String(index)), bytes }));
  return verifyArtifact({ digest: artifact, manifest, bundles: found, trust, policy, nowMs, ...change });
}

function assertRefused(decision: Decision, words: RegExp): void {
  assert.equal(decision.ok, false);
  assert.match(decision.reasons.join("; "), words);
}

test("`verifyArtifact()` believes a statement that a known key signed about the artifact", () => {
  const decision = decide([bundleOf(key, said)]);
  assert.deepEqual(decision.reasons, []);
  assert.equal(decision.ok, true);
  assert.deepEqual(decision.bundles, [
    { manifest: sha256("0"), predicateType: kind, statement, key: keyIdOf(key), problem: null },
  ]);
});

test("`verifyArtifact()` refuses an artifact that nothing is said about, and one whose manifest is another", () => {
  assertRefused(decide([]), /no statement of the kind https:\/\/example.test\/kind\/v1/);
  const swapped = verifyArtifact({
    digest: artifact,
    manifest: Buffer.from("{}"),
    bundles: [{ manifest: artifact, bytes: bundleOf(key, said) }],
    trust,
    policy,
    nowMs,
  });
  assertRefused(swapped, /its manifest is sha256:44136fa3/);
});

test("`verifyArtifact()` refuses a bundle with any byte of its statement or signature flipped", () => {
  const bundle = readBundle(bundleOf(key, said));
  assert.ok(typeof bundle !== "string");
  fc.assert(
    fc.property(
      fc.constantFrom("payload", "signature"),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (part, at, flip) => {
        const bytes = { payload: Buffer.from(bundle.payload), signature: Buffer.from(bundle.signature) };
        const place = at % bytes[part].length;
        bytes[part][place] = (bytes[part][place] ?? 0) ^ flip;
        const decision = decide([serialiseBundle(keyIdOf(key), bytes.payload, bytes.signature)]);
        assertRefused(decision, /./);
        assert.equal(decision.bundles[0]?.key, null);
      },
    ),
  );
});

const other: Statement = { ...said, subject: sha256("another artifact") };
const predicate = { ...said, predicate: { says: "that" } };
const attacks: readonly (readonly [string, () => Uint8Array, RegExp])[] = [
  ["a signature for another digest", () => bundleOf(key, other), /about another artifact, sha256:/],
  ["a key that nobody knows", () => bundleOf(newKey(), said), /that the key log does not know/],
  [
    "a known key's name on a stranger's signature",
    () => {
      const payload = serialiseStatement(said);
      return serialiseBundle(keyIdOf(key), payload, signPayload(newKey(), statementType, payload));
    },
    /signature does not hold/,
  ],
  [
    "a predicate that was swapped",
    () => {
      const signed = serialiseStatement(said);
      return serialiseBundle(keyIdOf(key), serialiseStatement(predicate), signPayload(key, statementType, signed));
    },
    /signature does not hold/,
  ],
  [
    "a signature of the bare payload, without DSSE's encoding",
    () => serialiseBundle(keyIdOf(key), serialiseStatement(said), signPayload(key, "", serialiseStatement(said))),
    /signature does not hold/,
  ],
  [
    "extra subjects, even when they are signed",
    () => {
      const text = serialiseStatement(said).toString();
      const subjects = `[{"digest":{"sha256":"${artifact.slice(7)}"}},{"digest":{"sha256":"${sha256("x").slice(7)}"}}]`;
      return bundleOf(key, Buffer.from(text.replace(/"subject":\[[^\]]*\]/, `"subject":${subjects}`)));
    },
    /2 subjects, one is allowed/,
  ],
  ["no bundle at all", () => Buffer.from("{}"), /no sigstore bundle/],
  ["lost bytes", () => Buffer.alloc(0), /lost or were changed/],
];

for (const [what, make, words] of attacks)
  test(`\`verifyArtifact()\` refuses ${what}`, () => {
    assertRefused(decide([make()]), words);
  });

test("`verifyArtifact()` finds the good statement among bad ones, and names those when all are asked for", () => {
  const bad = attacks.map(([, make]) => make());
  assert.equal(decide([...bad, bundleOf(key, said)]).ok, true);
  const found = [...bad, bundleOf(key, said)].map((bytes) => ({ manifest: artifact, bytes }));
  const all = verifyArtifact({
    digest: artifact,
    manifest,
    bundles: [...found].reverse(),
    trust,
    policy,
    nowMs,
    all: true,
  });
  assert.deepEqual(
    all.bundles.map(({ problem }) => problem === null),
    [true, ...bad.map(() => false)],
  );
});

test("`verifyArtifact()` asks what a policy wants a kind of statement to say", () => {
  const checks = {
    [kind]: (it: Statement["predicate"]) => (it["says"] === "this" ? undefined : "it says something else"),
  };
  assert.equal(decide([bundleOf(key, said)], { policy: { required: [kind], checks } }).ok, true);
  assertRefused(decide([bundleOf(key, predicate)], { policy: { required: [kind], checks } }), /says something else/);
});

test("`verifyArtifact()` does not take a kind's name for a member of every object", () => {
  const odd = { ...said, predicateType: "constructor:x" };
  assert.equal(decide([bundleOf(key, odd)], { policy: { required: ["constructor:x"], checks: {} } }).ok, true);
});

test("a future key is refused until its window begins, an expired one from its end on", () => {
  const window = { notBefore: "2026-05-01T00:00:00.000Z", notAfter: "2026-07-01T00:00:00.000Z" };
  const bounded = new LogWriter().bring(key, window).trust;
  const at = (time: string): Decision => decide([bundleOf(key, said)], { trust: bounded, nowMs: Date.parse(time) });
  assertRefused(at("2026-04-30T23:59:59.999Z"), /valid only from 2026-05-01/);
  assert.equal(at("2026-05-01T00:00:00.000Z").ok, true);
  assert.equal(at("2026-06-30T23:59:59.999Z").ok, true);
  assertRefused(at("2026-07-01T00:00:00.000Z"), /was valid until 2026-07-01/);
});

test("an expired key is believed for what was listed when it was rotated", () => {
  const window = { notAfter: "2026-02-01T00:00:00.000Z" };
  const rotated = (stands: readonly (typeof statement)[]): TrustMaterial =>
    new LogWriter().bring(key, window).bring(newKey(), {}, stands).trust;
  assert.equal(decide([bundleOf(key, said)], { trust: rotated([statement]) }).ok, true);
  assertRefused(decide([bundleOf(key, said)], { trust: rotated([]) }), /not listed as signed before/);
});

test("a rotated key is believed, whatever is listed", () => {
  assert.equal(decide([bundleOf(key, said)], { trust: new LogWriter().bring(key).bring(newKey()).trust }).ok, true);
});

test("a revoked key is believed for what stood at its revocation, and for nothing that it signs later, whatever time that claims", () => {
  const writer = new LogWriter().bring(key).bring(newKey()).revoke(key, "laptop stolen", [statement]);
  assert.equal(decide([bundleOf(key, said)], { trust: writer.trust }).ok, true);
  const later = { ...said, predicate: { says: "this", signedAt: "2020-01-01T00:00:00Z" } };
  assertRefused(
    decide([bundleOf(key, later)], { trust: writer.trust }),
    /revoked at .* \(laptop stolen\), and it is not among/,
  );
});

test("a list of what stands that was changed or lost is no list", () => {
  const writer = new LogWriter().bring(key).bring(newKey()).revoke(key, "", [statement]);
  const lost = { log: writer.trust.log, standing: new Map() };
  assertRefused(decide([bundleOf(key, said)], { trust: lost }), /is lost or damaged/);
});

test("`verifyArtifact()` opens nothing that a bundle of 50 MB holds", () => {
  assertRefused(decide([Buffer.alloc(50 * 2 ** 20, 0x20)]), /52428800 bytes, at most/);
});
