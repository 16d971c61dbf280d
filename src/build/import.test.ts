import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { OperatorError } from "../errors/operator-error.ts";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseIndex, serialiseManifest } from "../image/oci.ts";
import { encodeHeader, writeTar, type TarSource } from "../image/tar-write.ts";
import type { TarEntry } from "../image/tar-entry.ts";
import { sha256 } from "../model/canonical.ts";
import { createLocalStore } from "../store/local.ts";
import { machineArchitecture } from "./image-state.ts";
import { importImage } from "./import.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));
function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-import-"));
  folders.push(dir);
  return dir;
}

function member(path: string, text = ""): TarSource {
  const bytes = Buffer.from(text);
  const entry: TarEntry = {
    path,
    kind: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: bytes.byteLength,
    target: "",
  };
  return { entry, content: () => [bytes] };
}

const tar = (sources: readonly TarSource[]): Buffer =>
  Buffer.concat([...writeTar(sources)].map((piece) => Buffer.from(piece)));
const goodTar = tar([member("app", "hello")]);

interface Parts {
  readonly layerTar?: Buffer;
  readonly layer?: Buffer;
  readonly mediaType?: string;
  readonly diffId?: ReturnType<typeof sha256>;
  readonly architecture?: string;
}

/** The files of an OCI layout of one layer, changed as asked. */
function layoutFiles(parts: Parts = {}): Map<string, Buffer> {
  const layerBytes = parts.layer ?? parts.layerTar ?? goodTar;
  const config = serialiseConfig({
    architecture: parts.architecture ?? machineArchitecture(),
    os: "linux",
    config: { Cmd: ["/app"] },
    diffIds: [parts.diffId ?? sha256(parts.layerTar ?? goodTar)],
    history: [],
  });
  const layer = { ...describe(parts.mediaType ?? mediaTypes.layer, layerBytes) };
  const manifest = serialiseManifest({ config: describe(mediaTypes.config, config), layers: [layer], annotations: {} });
  const name = (bytes: Buffer): string => `blobs/sha256/${sha256(bytes).slice(7)}`;
  return new Map([
    ["index.json", serialiseIndex([describe(mediaTypes.manifest, manifest)])],
    ["oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    [name(manifest), manifest],
    [name(config), config],
    [name(layerBytes), layerBytes],
  ]);
}

function writeFolder(files: ReadonlyMap<string, Buffer>): string {
  const dir = newFolder();
  mkdirSync(join(dir, "blobs", "sha256"), { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(dir, path), bytes);
  return dir;
}

function writeArchive(bytes: Buffer): string {
  const file = join(newFolder(), "image.tar");
  writeFileSync(file, bytes);
  return file;
}

const importInto = (path: string, store = createLocalStore(newFolder())): ReturnType<typeof importImage> =>
  importImage(path, { store, signal: new AbortController().signal, name: "x:1" });
const refused = (error: unknown): boolean => error instanceof OperatorError && error.code === "VERIFICATION_FAILED";

test("`importImage()` keeps manifest and layers byte for byte, from folder, archive and gzipped archive", async () => {
  for (const [mediaType, layer] of [
    [mediaTypes.layer, goodTar],
    [`${mediaTypes.layer}+gzip`, gzipSync(goodTar)],
    [`${mediaTypes.layer}+zstd`, zstdCompressSync(goodTar)],
  ] as const) {
    const files = layoutFiles({ mediaType, layer });
    const archive = tar(
      [...files].reverse().map(([path, bytes]) => ({
        ...member(path),
        entry: { ...member(path).entry, size: bytes.byteLength },
        content: () => [bytes],
      })),
    );
    const digests = new Set<string>();
    for (const path of [writeFolder(files), writeArchive(archive), writeArchive(gzipSync(archive))]) {
      const store = createLocalStore(newFolder());
      const imported = await importInto(path, store);
      assert.equal(imported.layers[0]?.digest, sha256(layer));
      assert.deepEqual(imported.config.cmd, ["/app"]);
      assert.equal(await store.resolve("x:1"), imported.digest);
      assert.equal((await importInto(path, store)).cached, true);
      digests.add(imported.digest);
    }
    assert.equal(digests.size, 1);
  }
});

test("`importImage()` takes what docker save writes", async () => {
  const config = serialiseConfig({
    architecture: machineArchitecture(),
    os: "linux",
    config: {},
    diffIds: [sha256(goodTar)],
    history: [],
  });
  const name = `${sha256(config).slice(7)}.json`;
  const list = Buffer.from(JSON.stringify([{ Config: name, RepoTags: ["shop:1"], Layers: ["aa/layer.tar"] }]));
  const files: [string, Buffer][] = [
    ["aa/layer.tar", goodTar],
    [name, config],
    ["manifest.json", list],
  ];
  const archive = tar(
    files.map(([path, bytes]) => ({
      entry: { ...member(path).entry, size: bytes.byteLength },
      content: () => [bytes],
    })),
  );
  assert.equal((await importInto(writeArchive(archive))).layers[0]?.digest, sha256(goodTar));
});

test("`importImage()` refuses images that lie, and leaves no name behind", async () => {
  const cases: readonly [name: string, path: () => string][] = [
    [
      "a layer of other bytes",
      () =>
        writeFolder(
          new Map(
            [...layoutFiles()].map(([path, bytes]) => [
              path,
              path.endsWith(sha256(goodTar).slice(7))
                ? Buffer.from(bytes.map((b, i) => (i === 600 ? b ^ 1 : b)))
                : bytes,
            ]),
          ),
        ),
    ],
    ["a diff_id of other content", () => writeFolder(layoutFiles({ diffId: sha256("other") }))],
    ["a layer that leaves the root", () => writeFolder(layoutFiles({ layerTar: tar([member("../../etc/passwd")]) }))],
    ["a layer with an absolute path", () => writeFolder(layoutFiles({ layerTar: tar([member("/etc/passwd")]) }))],
    ["a layer that is cut", () => writeFolder(layoutFiles({ layerTar: goodTar.subarray(0, 700) }))],
    [
      "a layer that is no gzip",
      () => writeFolder(layoutFiles({ mediaType: `${mediaTypes.layer}+gzip`, layer: Buffer.from("no gzip") })),
    ],
    ["a layer of a kind not known", () => writeFolder(layoutFiles({ mediaType: "application/x-surprise" }))],
    ["another architecture", () => writeFolder(layoutFiles({ architecture: "s390x" }))],
    [
      "a blob that is missing",
      () => writeFolder(new Map([...layoutFiles()].filter(([path]) => !path.endsWith(sha256(goodTar).slice(7))))),
    ],
    ["an archive with a path that leaves it", () => writeArchive(tar([member("../../x", "y")]))],
    [
      "an archive whose member says more bytes than there are",
      () => writeArchive(encodeHeader({ ...member("index.json").entry, size: 10 ** 12 })),
    ],
    ["an index that is no JSON", () => writeFolder(new Map([["index.json", Buffer.from("{")]]))],
    ["an empty folder", () => writeFolder(new Map())],
    ["no archive at all", () => writeArchive(Buffer.from("hello"))],
  ];
  for (const [name, path] of cases) {
    const store = createLocalStore(newFolder());
    await assert.rejects(importInto(path(), store), refused, name);
    assert.deepEqual(await store.tags(), [], name);
  }
});
