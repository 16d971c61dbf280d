import assert from "node:assert/strict";
import fc from "fast-check";
import { createLayerCheck } from "../../src/image/layer-check.ts";
import { parseConfig, parseIndex, parseManifest, serialiseConfig, serialiseManifest } from "../../src/image/oci.ts";
import type { TarKind } from "../../src/image/tar-entry.ts";
import { readTar } from "../../src/image/tar-read.ts";
import { encodeHeader } from "../../src/image/tar-write.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import type { FuzzTarget } from "./target.ts";

const digest = `sha256:${"a".repeat(64)}`;
const keys =
  "schemaVersion mediaType config layers manifests digest size annotations platform os architecture rootfs diff_ids type history Env Cmd Entrypoint Labels ExposedPorts User created __proto__ constructor";
const leaf = fc.oneof(
  fc.constantFrom<unknown>(2, 0, -1, 1e300, true, null, "", digest, "linux", "sha256:x", "\ud800", "a\0b", "8080/tcp"),
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.double(),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    leaf,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...keys.split(" ")), tie("tree"), { maxKeys: 5 }),
  ),
}));
const descriptor = fc.oneof(
  fc.record({ mediaType: leaf, digest: fc.constant(digest), size: fc.nat(), annotations: tree }),
  tree,
);
const document = fc.oneof(
  fc.record({
    schemaVersion: fc.constant(2),
    config: descriptor,
    layers: fc.array(descriptor, { maxLength: 3 }),
    manifests: fc.array(descriptor, { maxLength: 3 }),
  }),
  fc.record({ os: leaf, config: tree, rootfs: fc.record({ diff_ids: fc.constant([digest]) }), history: tree }),
  tree,
);
const bytesOf = fc.oneof(
  document.map((value) => Buffer.from(JSON.stringify(value) ?? "")),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);

function refuses(parse: () => unknown): void {
  try {
    parse();
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.code === "VERIFICATION_FAILED", String(thrown));
  }
}

/** Whatever the JSON, it is read or refused; what was read can be written again. */
export const documentTarget: FuzzTarget = {
  name: "documents",
  weight: 15,
  property: fc.property(bytesOf, (bytes) => {
    refuses(() => serialiseManifest(parseManifest(bytes)));
    refuses(() => serialiseConfig(parseConfig(bytes)));
    refuses(() => parseIndex(bytes));
  }),
};

const name = fc.oneof(
  fc.constantFrom("a", "a/b", "a/b/c", "b", ".wh.a", ".wh..wh..opq", "../a", "/etc/x", "a/../../b", "./a//b", ""),
  fc.string({ unit: "binary-ascii", maxLength: 10 }),
);
const header = fc
  .record({
    path: name,
    kind: fc.constantFrom<TarKind>("file", "directory", "symlink", "hardlink", "character", "block", "fifo"),
    mode: fc.nat(0o7777),
    uid: fc.nat(),
    gid: fc.nat(),
    mtime: fc.nat(),
    size: fc.constantFrom(0, 0, 0, 3, 512, 513, 2 ** 40),
    target: name,
  })
  .map((entry) => {
    try {
      return Buffer.from(encodeHeader(entry));
    } catch {
      return Buffer.alloc(512, 1);
    }
  });
const damage = fc.array(fc.tuple(fc.nat(4096), fc.nat(255), fc.boolean()), { maxLength: 3 });

/** Damages bytes, and mends a header's sum where asked: what passes the sum is read further. */
function damaged(bytes: Buffer, changes: readonly (readonly [number, number, boolean])[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const [at, value, mend] of changes) {
    if (copy.length < 512) continue;
    copy[at % copy.length] = value;
    const block = copy.subarray(Math.floor((at % copy.length) / 512) * 512).subarray(0, 512);
    if (!mend || block.length < 512) continue;
    block.fill(0x20, 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
      "latin1",
    );
  }
  return copy;
}

/** Whatever the archive, its members are sound and inside, or it is refused. */
export const tarTarget: FuzzTarget = {
  name: "archives",
  weight: 15,
  property: fc.asyncProperty(
    fc.array(header, { maxLength: 5 }),
    damage,
    fc.boolean(),
    fc.integer({ min: 1, max: 3000 }),
    async (headers, changes, ends, step) => {
      const bytes = damaged(Buffer.concat([...headers, Buffer.alloc(ends ? 1024 : 0)]), changes);
      async function* pieces(): AsyncGenerator<Buffer> {
        for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
      }
      const check = createLayerCheck();
      try {
        for await (const { entry } of readTar(pieces())) {
          assert.ok(!entry.path.startsWith("/") && !entry.path.split("/").includes(".."), entry.path);
          assert.ok(Number.isSafeInteger(entry.size) && entry.size >= 0);
          check(entry);
        }
      } catch (thrown) {
        assert.ok(thrown instanceof OperatorError && thrown.code === "VERIFICATION_FAILED", String(thrown));
      }
    },
  ),
};
