import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseManifest } from "../image/oci.ts";
import type { TarSource } from "../image/tar-write.ts";
import { sha256 } from "../model/canonical.ts";
import { createLocalStore } from "../store/local.ts";
import { compareArtifacts, type StoredArtifact } from "./compare.ts";
import { member, newFolder, tar } from "./exchange/image-fixture.suite.ts";

async function artifact(
  layers: readonly (readonly TarSource[])[],
  change: { readonly env?: string; readonly commit?: string; readonly tail?: Buffer } = {},
): Promise<StoredArtifact> {
  const blobs = createLocalStore(newFolder());
  const archives = layers.map((sources) => Buffer.concat([tar(sources), change.tail ?? Buffer.alloc(0)]));
  for (const archive of archives) await blobs.write(archive);
  const config = serialiseConfig({
    architecture: "amd64",
    os: "linux",
    config: { Env: [change.env ?? "A=1"] },
    diffIds: archives.map((archive) => sha256(archive)),
    history: [
      { created_by: "ENV A=1", empty_layer: true },
      ...archives.map((_, index) => ({ created_by: `RUN step ${index + 1}` })),
    ],
  });
  const manifest = serialiseManifest({
    config: describe(mediaTypes.config, config),
    layers: archives.map((archive) => describe(mediaTypes.layer, archive)),
    annotations: { "org.opencontainers.image.revision": change.commit ?? "one" },
  });
  await blobs.write(config);
  return { blobs, digest: (await blobs.write(manifest)).digest };
}

async function differences(first: StoredArtifact, second: StoredArtifact): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { part, layer, createdBy, path, field } of compareArtifacts(first, second))
    found.push([part, layer, createdBy, path, field].filter((word) => word !== undefined && word !== "").join(" | "));
  return found;
}

test("compareArtifacts() names layer, instruction, member and field, and not what follows from them", async () => {
  const base = [member("base")];
  const first = await artifact([base, [member("etc/date", "08:00")]]);
  const second = await artifact([base, [member("etc/date", "09:00", { mode: 0o600 })]]);
  assert.deepEqual(await differences(first, second), [
    "layer | 2 | RUN step 2 | etc/date | mode",
    "layer | 2 | RUN step 2 | etc/date | content",
  ]);
  assert.deepEqual(await differences(first, first), []);
});

test("compareArtifacts() names fields of the config and annotations, and a layer that only one has", async () => {
  const first = await artifact([[member("a")]]);
  assert.deepEqual(await differences(first, await artifact([[member("a")]], { env: "A=2", commit: "two" })), [
    "config | config.Env[0] | value",
    "manifest | annotations.org.opencontainers.image.revision | value",
  ]);
  assert.deepEqual((await differences(first, await artifact([[member("a")], [member("b")]]))).slice(0, 1), [
    "layer | 2 | RUN step 2 | presence",
  ]);
});

test("compareArtifacts() tells of archives that differ in nothing that is read of them", async () => {
  const first = await artifact([[member("a")]]);
  assert.deepEqual(await differences(first, await artifact([[member("a")]], { tail: Buffer.alloc(512) })), [
    "layer | 1 | RUN step 1 | encoding",
  ]);
});
