import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../model/canonical.ts";
import { builderId, buildType, readProvenance } from "./provenance.ts";

const good = {
  buildDefinition: {
    buildType,
    externalParameters: { app: "shop" },
    internalParameters: {},
    resolvedDependencies: [{ name: "source", digest: { gitCommit: "abc" } }],
  },
  runDetails: { builder: { id: builderId, version: { bronze: "1" } }, byproducts: [] },
} as const;

function read(change: (copy: Record<string, Record<string, Json>>) => void): ReturnType<typeof readProvenance> {
  const copy = structuredClone(good) as unknown as Record<string, Record<string, Json>>;
  change(copy);
  return readProvenance(copy);
}

test("`readProvenance()` takes what was built by Bronze as it is", () => {
  assert.deepEqual(
    read(() => undefined),
    good,
  );
});

test("`readProvenance()` refuses unknown external parameters, other builders and builds, and what is no resource", () => {
  for (const [change, reason] of [
    [
      (it) => ((it["buildDefinition"] ??= {})["externalParameters"] = { app: "a", hook: "x" }),
      /unknown external.*"hook"/,
    ],
    [(it) => ((it["buildDefinition"] ??= {})["externalParameters"] = []), /no external parameters/],
    [(it) => ((it["buildDefinition"] ??= {})["buildType"] = "urn:other"), /another kind of build/],
    [(it) => ((it["runDetails"] ??= {})["builder"] = { id: "urn:other" }), /another builder/],
    [(it) => ((it["buildDefinition"] ??= {})["resolvedDependencies"] = [1]), /no resource/],
    [(it) => ((it["buildDefinition"] ??= {})["resolvedDependencies"] = [{ digest: { sha256: 1 } }]), /no resource/],
    [(it) => delete it["runDetails"], /by whom/],
  ] satisfies readonly [(it: Record<string, Record<string, Json>>) => unknown, RegExp][]) {
    const result = read(change);
    assert.ok(typeof result === "string");
    assert.match(result, reason);
  }
});
