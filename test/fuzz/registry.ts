import assert from "node:assert/strict";
import fc from "fast-check";
import { parseLock, serialiseLock } from "../../src/build/lock-file.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import { fullName, parseReference, readReference, shortName, storeName } from "../../src/image/reference.ts";
import { sha256 } from "../../src/model/canonical.ts";
import { parseChallenge } from "../../src/registry/challenge.ts";
import { checkTagName } from "../../src/store/refusals.ts";
import type { FuzzTarget } from "./target.ts";

const digest = sha256("x");
const namePieces = fc.oneof(
  fc.constantFrom(
    ..."docker.io index.docker.io localhost ghcr.io library Registry.Example [::1] 127.0.0.1 5000 latest v1 __ a b-c _ ..".split(
      " ",
    ),
    "/",
    "/",
    ":",
    ":",
    "@",
    "@" + digest,
    "sha256:",
    "\n",
    "\u0130",
  ),
  fc.string({ maxLength: 6 }),
);

/** Whatever is given as an image's name, it is refused or means the same in all its forms, and can be a name of the store. */
export const referenceTarget: FuzzTarget = {
  name: "reference",
  weight: 5,
  property: fc.property(
    fc.array(namePieces, { maxLength: 12 }).map((pieces) => pieces.join("")),
    (text) => {
      const reference = readReference(text);
      if (typeof reference === "string") {
        assert.throws(() => parseReference(text), OperatorError);
        return;
      }
      assert.deepEqual(parseReference(fullName(reference)), reference);
      const short = reference.digest === null ? shortName(reference) : `${shortName(reference)}@${reference.digest}`;
      assert.deepEqual(parseReference(short), reference);
      assert.match(`/v2/${reference.repository}/`, /^\/v2(\/[a-z0-9._-]*[a-z0-9])+\/$/);
      assert.doesNotMatch(reference.repository, /\.\./);
      assert.ok(URL.canParse(`https://${reference.host}/v2/`), reference.host);
      const name = storeName(reference);
      if (name !== null && name.length <= 240) checkTagName(name);
    },
  ),
};

const lockValue = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown>(digest, 1, 2, null, {}, [], "sha256:1") },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const lockFile = fc.record(
  {
    version: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: lockValue }),
    bases: fc.dictionary(
      fc.constantFrom("docker.io/library/node:22", "__proto__", "constructor", "x"),
      fc.record(
        { index: lockValue, platforms: fc.dictionary(fc.constantFrom("linux/amd64", "__proto__"), lockValue) },
        { requiredKeys: [] },
      ),
    ),
    debian: fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue()),
  },
  { requiredKeys: ["version"] },
);

/** Whatever bronze.lock says, it is refused in words, or comes back the same when it is written. */
export const lockTarget: FuzzTarget = {
  name: "lock",
  weight: 3,
  property: fc.property(
    fc.oneof(
      { weight: 6, arbitrary: lockFile.map((value) => JSON.stringify(value)) },
      { weight: 1, arbitrary: fc.json() },
      { weight: 1, arbitrary: fc.string() },
    ),
    (text) => {
      let lock;
      try {
        lock = parseLock(text);
      } catch (thrown) {
        assert.ok(thrown instanceof OperatorError && thrown.code === "DEFINITION_INVALID", String(thrown));
        return;
      }
      const written = serialiseLock(lock);
      assert.deepEqual(parseLock(written), lock);
      assert.equal(serialiseLock(parseLock(written)), written);
    },
  ),
};

/** Whatever a registry wants, it is understood or not, and soon. */
export const challengeTarget: FuzzTarget = {
  name: "challenge",
  weight: 3,
  property: fc.property(
    fc
      .array(
        fc.oneof(
          fc.constantFrom(
            "Bearer ",
            "Basic ",
            "realm=",
            "scope=",
            '"',
            ",",
            " ",
            "\\",
            '"https://x/"',
            "=",
            "a".repeat(500),
          ),
          fc.string({ maxLength: 4 }),
        ),
        { maxLength: 60 },
      )
      .map((pieces) => pieces.join("")),
    (header) => {
      const began = performance.now();
      const challenge = parseChallenge(header);
      assert.ok(performance.now() - began < 5000);
      if (challenge?.kind === "bearer") assert.match(header, /bearer[^]*realm/i);
    },
  ),
};
