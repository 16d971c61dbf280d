import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseManifest } from "../image/oci.ts";
import { digestHex, sha256, type Digest } from "../model/canonical.ts";
import type { Signer } from "../ports/signer.ts";
import type { KeyId } from "../trust/envelope.ts";
import { emptyKeyLog } from "../trust/key-log.ts";
import { builderId, buildType } from "../trust/provenance.ts";
import { predicateTypes } from "../trust/statement.ts";
import { createAncestry } from "./ancestry.ts";
import { attest } from "./attestations.ts";
import { createMemoryStore } from "./memory.ts";

/** An image of layers that need not be there. */
async function image(
  store: ReturnType<typeof createMemoryStore>,
  layers: readonly string[],
  annotations: Readonly<Record<string, string>> = {},
): Promise<Digest> {
  const config = serialiseConfig({
    architecture: "amd64",
    os: "linux",
    config: {},
    diffIds: layers.map((layer) => sha256(layer)),
    history: [],
  });
  await store.write(config);
  const manifest = serialiseManifest({
    config: describe(mediaTypes.config, config),
    layers: layers.map((layer) => describe(mediaTypes.layer, Buffer.from(layer))),
    annotations,
  });
  return (await store.write(manifest)).digest;
}

test("descents() follows what was built here through every image between, and says the way", async () => {
  const store = createMemoryStore();
  const [base, tools, middle, app] = await Promise.all([
    image(store, ["base"]),
    image(store, ["tools"]),
    image(store, ["base", "middle"]),
    image(store, ["base", "middle", "app"]),
  ]);
  await store.recordBuild(middle, [base]);
  await store.recordBuild(app, [middle, tools]);
  const { descents, descendants } = createAncestry(store);
  assert.deepEqual(await descents(app, [base, tools, app]), [
    { artifact: app, from: app, chain: [app] },
    { artifact: app, from: tools, chain: [app, tools] },
    { artifact: app, from: base, chain: [app, middle, base] },
  ]);
  assert.deepEqual(await descents(app, [sha256("another")]), []);
  assert.deepEqual(await descendants(base), [
    { artifact: middle, from: base, chain: [middle, base] },
    { artifact: app, from: base, chain: [app, middle, base] },
  ]);
  // An image of which the store knows no more than that it was taken.
  await store.recordBuild(base, [sha256("gone")]);
  assert.deepEqual((await descents(app, [sha256("gone")]))[0]?.chain, [app, middle, base, sha256("gone")]);
});

test("descents() of what was not built here goes by layers and by what it says of itself", async () => {
  const store = createMemoryStore();
  const base = await image(store, ["base", "tools"]);
  const copy = await image(store, ["base", "tools"], { note: "the same under another name" });
  const app = await image(store, ["base", "tools", "app"]);
  const other = await image(store, ["base", "other"]);
  const empty = await image(store, []);
  const says = await image(store, ["squashed"], { "org.opencontainers.image.base.digest": base });
  const { descents, descendants } = createAncestry(store);
  for (const artifact of [copy, app, says])
    assert.deepEqual(await descents(artifact, [base]), [{ artifact, from: base, chain: [artifact, base] }]);
  assert.deepEqual(await descents(other, [base, empty]), []);
  // Who built it knows better: that it has the same first layers is no descent.
  await store.recordBuild(other, []);
  await store.recordBuild(app, []);
  assert.deepEqual(await descents(app, [base]), []);
  await store.tag("copy:1", copy);
  await store.tag("says:1", says);
  await store.tag("app:1", app);
  assert.deepEqual(
    (await descendants(base)).map(({ artifact }) => artifact),
    [copy, says].sort(),
  );
});

test("descents() believes provenance that came along when it says something against an image, whoever signed it", async () => {
  const store = createMemoryStore();
  const [base, app] = [await image(store, ["base"]), await image(store, ["flat"])];
  const resolvedDependencies = [
    { name: "source", digest: { gitCommit: "0".repeat(40) } },
    { name: "base image", uri: "oci:base", digest: { sha256: digestHex(base) } },
  ];
  const predicate = {
    buildDefinition: { buildType, externalParameters: {}, internalParameters: {}, resolvedDependencies },
    runDetails: { builder: { id: builderId, version: {} }, byproducts: [] },
  };
  const stranger: Signer = {
    sign: async () => ({ keyId: "0".repeat(64) as KeyId, signature: Buffer.alloc(70) }),
    trust: async () => ({ log: emptyKeyLog, standing: new Map() }),
  };
  await attest(store, stranger, { subject: app, predicateType: predicateTypes.provenance, predicate });
  await store.tag("app:1", app);
  const { descents, descendants } = createAncestry(store);
  assert.deepEqual(await descents(app, [base]), [{ artifact: app, from: base, chain: [app, base] }]);
  assert.deepEqual(
    (await descendants(base)).map(({ artifact }) => artifact),
    [app],
  );
});

test("descents() comes to an end where records lead in a circle", async () => {
  const store = createMemoryStore();
  const [one, two] = [await image(store, ["one"]), await image(store, ["two"])];
  await store.recordBuild(one, [two]);
  await store.recordBuild(two, [one]);
  const { descents, descendants } = createAncestry(store);
  assert.equal((await descents(one, [two])).length, 1);
  assert.equal((await descendants(one)).length, 1);
});
