import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { OperatorError } from "../../errors/operator-error.ts";
import { mediaTypes } from "../../image/media-types.ts";
import { describe, serialiseIndex, serialiseManifest } from "../../image/oci.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { encodeHeader } from "../../image/tar-write.ts";
import { sha256 } from "../../model/canonical.ts";
import { createLocalStore } from "../../store/local.ts";
import {
  archiveOf,
  folder,
  goodTar,
  hardlink,
  layoutFiles,
  member,
  newFolder,
  symlink,
  tar,
  writeArchive,
  writeFolder,
} from "./image-fixture.suite.ts";
import { machineArchitecture } from "../image-state.ts";
import { importImage } from "./import.ts";

const blobName = (bytes: Buffer): string => `blobs/sha256/${sha256(bytes).slice(7)}`;
const layer = (...sources: readonly TarSource[]): string => writeFolder(layoutFiles({ layerTar: tar(sources) }));
const changed = (change: (path: string, bytes: Buffer) => Buffer | undefined): string =>
  writeFolder(
    new Map(
      [...layoutFiles()].flatMap(([path, bytes]) => {
        const now = change(path, bytes);
        return now === undefined ? [] : [[path, now]];
      }),
    ),
  );
const isLayer = (path: string): boolean => path === blobName(goodTar);
const named = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** A layout whose index names this manifest, with these blobs. */
function layout(manifest: Buffer, ...blobs: readonly Buffer[]): string {
  const index = serialiseIndex([describe(mediaTypes.manifest, manifest)]);
  return writeFolder(
    new Map([["index.json", index], ...[manifest, ...blobs].map((one) => [blobName(one), one] as const)]),
  );
}

function configured(config: unknown, layers: readonly Buffer[] = [goodTar]): string {
  const bytes = named(config);
  const manifest = serialiseManifest({
    config: describe(mediaTypes.config, bytes),
    layers: layers.map((one) => describe(mediaTypes.layer, one)),
    annotations: {},
  });
  return layout(manifest, bytes, ...layers);
}

const platform = { os: "linux", architecture: machineArchitecture() };
const sound = { ...platform, rootfs: { type: "layers", diff_ids: [sha256(goodTar)] } };

function nestedIndex(depth: number): string {
  const files = new Map<string, Buffer>();
  let inner = serialiseIndex([]);
  for (let i = 0; i < depth; i++) {
    files.set(blobName(inner), inner);
    inner = serialiseIndex([describe(mediaTypes.index, inner)]);
  }
  return writeFolder(files.set("index.json", inner));
}

function dockerSave(list: unknown, ...more: readonly (readonly [string, Buffer])[]): Map<string, Buffer> {
  return new Map([["manifest.json", named(list)], ...more]);
}

function folderOf(files: ReadonlyMap<string, Buffer>, link?: readonly [name: string, target: string]): string {
  const dir = writeFolder(files);
  if (link !== undefined) symlinkSync(link[1], join(dir, link[0]));
  return dir;
}

/** A header whose field holds these bytes, with the right check sum. */
function patched(source: TarSource, at: number, bytes: Buffer): Buffer {
  const header = Buffer.from(encodeHeader(source.entry)).subarray(0, 512);
  bytes.copy(header, at);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header, Buffer.alloc(1024)]);
}
const layerBytes = (bytes: Buffer): string => writeFolder(layoutFiles({ layerTar: bytes }));
const gzip = `${mediaTypes.layer}+gzip`;
const zstd = `${mediaTypes.layer}+zstd`;
const zeros = Buffer.alloc(300 * 2 ** 20);
const longPax = patched({ entry: { ...member("x").entry, size: 2 ** 30 } }, 156, Buffer.from("x"));

const cases: readonly (readonly [what: string, path: () => string, says: RegExp])[] = [
  [
    "a layer of other bytes",
    () => changed((path, bytes) => (isLayer(path) ? Buffer.from(bytes.map((b, i) => (i === 600 ? b ^ 1 : b))) : bytes)),
    /they are sha256:/,
  ],
  [
    "a layer that is cut",
    () => changed((path, bytes) => (isLayer(path) ? bytes.subarray(0, 700) : bytes)),
    /700 bytes instead of/,
  ],
  [
    "a manifest whose size is another",
    () =>
      changed((path, bytes) =>
        path === "index.json"
          ? Buffer.from(bytes.toString().replace(/"size":([0-9]+)/, (_, size) => `"size":${Number(size) + 1}`))
          : bytes,
      ),
    /bytes instead of|they are/,
  ],
  [
    "a negative size",
    () =>
      changed((path, bytes) =>
        path === "index.json" ? Buffer.from(bytes.toString().replace(/"size":[0-9]+/, '"size":-1')) : bytes,
      ),
    /its descriptor has no size/,
  ],
  ["a blob that is missing", () => changed((path, bytes) => (isLayer(path) ? undefined : bytes)), /is missing in it/],
  ["a diff_id of other content", () => writeFolder(layoutFiles({ diffId: sha256("other") })), /the config says/],
  ["another architecture", () => writeFolder(layoutFiles({ architecture: "s390x" })), /it is for linux\/s390x/],
  ["another system", () => configured({ ...sound, os: "windows" }), /it is for windows/],
  ["a config without rootfs", () => configured(platform), /rootfs\.diff_ids is no list/],
  [
    "more diff_ids than layers",
    () => configured({ ...sound, rootfs: { diff_ids: [sha256("a"), sha256("b")] } }),
    /its config 2/,
  ],
  ["a command that is no list", () => configured({ ...sound, config: { Cmd: "sh" } }), /config\.Cmd is no list/],
  [
    "a NUL byte in the environment",
    () => configured({ ...sound, config: { Env: ["A=\0"] } }),
    /config\.Env holds a NUL/,
  ],
  ["half a character", () => configured({ ...sound, author: "\ud800" }), /it is no JSON/],
  ["a config that is no object", () => configured([]), /it is no JSON object/],
  ["a manifest that is no JSON", () => layout(Buffer.from("{")), /it is no JSON/],
  ["a manifest nested without end", () => layout(Buffer.from("[".repeat(1e6))), /it is no JSON/],
  ["a manifest of the first kind", () => layout(named({ schemaVersion: 1, layers: [] })), /no schemaVersion 2/],
  [
    "257 layers",
    () =>
      configured(
        sound,
        Array.from({ length: 257 }, () => goodTar),
      ),
    /257 layers, at most 256/,
  ],
  [
    "a layer of a kind not known",
    () => writeFolder(layoutFiles({ mediaType: "application/x-surprise" })),
    /of the kind application\/x-surprise/,
  ],
  [
    "a layer that is no gzip",
    () => writeFolder(layoutFiles({ mediaType: gzip, layer: Buffer.from("no gzip") })),
    /its bytes are no gzip/,
  ],
  [
    "a cut gzip layer",
    () => writeFolder(layoutFiles({ mediaType: gzip, layer: gzipSync(goodTar).subarray(0, 60) })),
    /its bytes are no gzip/,
  ],
  [
    "a cut zstd layer",
    () => writeFolder(layoutFiles({ mediaType: zstd, layer: zstdCompressSync(goodTar).subarray(0, 40) })),
    /its bytes are no zstd|it ends/,
  ],
  [
    "a layer of another compression than it says",
    () => writeFolder(layoutFiles({ layer: gzipSync(goodTar) })),
    /check sum|ends/,
  ],
  [
    "a gzip bomb",
    () => writeFolder(layoutFiles({ mediaType: gzip, layerTar: zeros, layer: gzipSync(zeros) })),
    /unpack to more than|ends/,
  ],
  [
    "a gzip bomb with a head",
    () => {
      const bomb = tar([member("zeros", zeros)]);
      return writeFolder(layoutFiles({ mediaType: gzip, layerTar: bomb, layer: gzipSync(bomb) }));
    },
    /bytes unpack to more than/,
  ],
  ["indexes within indexes", () => nestedIndex(6), /nested too deeply/],
  ["an index without an image", () => writeFolder(new Map([["index.json", serialiseIndex([])]])), /holds no image for/],
  ["an index that is no JSON", () => writeFolder(new Map([["index.json", Buffer.from("{")]])), /it is no JSON/],
  [
    "an index of 1001 manifests",
    () => writeFolder(new Map([["index.json", named({ manifests: Array.from({ length: 1001 }, () => ({})) })]])),
    /at most 1000/,
  ],
  ["an empty folder", () => writeFolder(new Map()), /neither index\.json nor manifest\.json/],
  [
    "a config outside the layout",
    () => folderOf(dockerSave([{ Config: "../../../../../../etc/passwd", Layers: [] }])),
    /is missing in it/,
  ],
  [
    "a layer outside the layout by a link",
    () => folderOf(dockerSave([{ Config: "c", Layers: ["l"] }], ["c", named(sound)]), ["l", "/etc/passwd"]),
    /"l" is missing in it/,
  ],
  ["layers that are no list", () => folderOf(dockerSave([{ Config: "c", Layers: "l" }])), /names no config and layers/],
  ["a path that no file can have", () => folderOf(dockerSave([{ Config: "a\0b", Layers: [] }])), /is missing in it/],
  [
    "a config under another's name",
    () =>
      folderOf(
        dockerSave([{ Config: `${"a".repeat(64)}.json`, Layers: [] }], [`${"a".repeat(64)}.json`, named(sound)]),
      ),
    /its config a+\.json is sha256:/,
  ],
  [
    "an archive with a path that leaves it",
    () => writeArchive(tar([member("../../x", "y")])),
    /holds the path "\.\.\/\.\.\/x"/,
  ],
  [
    "an archive that ends too early",
    () => writeArchive(encodeHeader({ ...member("index.json").entry, size: 10 ** 12 })),
    /ends|unpacks/,
  ],
  ["no archive at all", () => writeArchive(Buffer.from("hello")), /ends without/],
  [
    "a cut gzip archive",
    () => writeArchive(gzipSync(archiveOf(layoutFiles())).subarray(0, 200)),
    /its bytes are no gzip/,
  ],
  ["a gzip archive bomb", () => writeArchive(gzipSync(tar([member("index.json", zeros)]))), /unpack to more than/],
  [
    "an archive with two indexes",
    () => writeArchive(archiveOf([...layoutFiles(), ["index.json", serialiseIndex([])]])),
    /"index\.json" is there twice/,
  ],
  [
    "links that lead in a circle",
    () => writeArchive(tar([symlink("index.json", "a"), symlink("a", "index.json")])),
    /neither index\.json/,
  ],
  ["a member that leaves the root", () => layer(member("../../etc/passwd")), /holds the path/],
  ["a member with an absolute path", () => layer(member("/etc/passwd")), /absolute path "\/etc\/passwd"/],
  ["a hard link that leaves the root", () => layer(hardlink("a", "../../etc/shadow")), /holds the path/],
  ["a hard link to an absolute path", () => layer(hardlink("a", "/etc/shadow")), /absolute path/],
  [
    "a hard link to what is not there",
    () => layer(hardlink("a", "etc/shadow")),
    /is a hard link to "etc\/shadow", which is no file/,
  ],
  [
    "a file through a symlink",
    () => layer(symlink("a", "/etc"), member("a/x")),
    /"a\/x" is below "a", which is a symlink/,
  ],
  [
    "a file through a chain of symlinks",
    () => layer(symlink("a", "b"), symlink("b", ".."), member("a/b/c")),
    /is below "a"/,
  ],
  [
    "a hard link through a symlink",
    () => layer(symlink("a", "/etc"), hardlink("h", "a/shadow")),
    /"a\/shadow" is below "a"/,
  ],
  ["a file below a file", () => layer(member("a", "x"), member("a/b")), /which is a file and no folder/],
  ["a file where a folder was used", () => layer(member("a/b"), member("a")), /is a folder before and a file here/],
  [
    "a symlink where a folder was used",
    () => layer(member("a/b"), symlink("a", "/etc")),
    /is a folder before and a symlink here/,
  ],
  ["the same file twice", () => layer(member("a", "1"), member("a", "2")), /"a" is there twice/],
  [
    "the same file under two spellings",
    () => layer(member("a/b", "1"), member("a//./b", "2")),
    /"a\/b" is there twice/,
  ],
  ["a folder in a symlink's place", () => layer(symlink("a", "/etc"), folder("a")), /"a" is there twice/],
  ["a disk", () => layer(member("dev/sda", "", { kind: "block" })), /is a device node/],
  ["a character device", () => layer(member("dev/mem", "", { kind: "character" })), /is a device node/],
  [
    "a symlink that has content",
    () => layerBytes(patched(symlink("a", "b"), 124, Buffer.from("00000001000\0"))),
    /a symlink that has content/,
  ],
  [
    "a negative size in a header",
    () => layerBytes(patched(member("a"), 124, Buffer.alloc(12, 0xff))),
    /a negative number/,
  ],
  [
    "a size beyond all bounds",
    () => layerBytes(patched(member("a"), 124, Buffer.from([0x80, ...Buffer.alloc(11, 0x7f)]))),
    /too large/,
  ],
  [
    "a size that is no number",
    () => layerBytes(patched(member("a"), 124, Buffer.from("9z"))),
    /else than an octal number/,
  ],
  [
    "a member of a kind not known",
    () => layerBytes(patched(member("a"), 156, Buffer.from("S"))),
    /not supported \("S"\)/,
  ],
  ["a pax header of a gigabyte", () => layerBytes(longPax), /is longer than the/],
  ["a name of 300 bytes", () => layer(member("n".repeat(300))), /a name that no file can have/],
  ["a path of 5000 bytes", () => layer(member("n/".repeat(2500))), /a path that no file can have/],
];

test("`importImage()` refuses hostile and damaged images by what is wrong, and leaves nothing behind", async (t) => {
  for (const [what, path, says] of cases) {
    const dir = newFolder();
    const store = createLocalStore(dir);
    await assert.rejects(
      importImage(path(), { store, signal: new AbortController().signal, name: "x:1" }),
      (error) => {
        assert.ok(error instanceof OperatorError, `${what}: ${String(error)}`);
        assert.equal(error.exitStatus, 7, `${what}: ${error.message}`);
        assert.match(error.message, says, what);
        assert.doesNotMatch(error.message, /\n/, what);
        return true;
      },
      what,
    );
    const left = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((one) => !one.isDirectory());
    assert.deepEqual(left, [], what);
    assert.deepEqual(readdirSync(join(dir, "tmp")), [], what);
  }
  t.diagnostic(`${cases.length} images refused, 0 files left`);
});

test("`importImage()` takes what is odd and harmless", async () => {
  const odd: readonly (readonly [string, () => string])[] = [
    ["folders named twice", () => layer(folder("a"), folder("a"), member("a/b"))],
    ["symlinks to anywhere", () => layer(symlink("a", "/etc/shadow"), symlink("b", "../../.."))],
    ["a hard link to a symlink", () => layer(symlink("a", "/etc/shadow"), hardlink("b", "a"))],
    ["names that are no UTF-8", () => layer(member("\xff\xfe/\xe4", "x"))],
    ["a layer of nothing", () => layer()],
    [
      "garbage after a gzip layer",
      () => writeFolder(layoutFiles({ mediaType: gzip, layer: Buffer.concat([gzipSync(goodTar), Buffer.alloc(9)]) })),
    ],
    ["a blob twice in an archive", () => writeArchive(archiveOf([...layoutFiles(), [blobName(goodTar), goodTar]]))],
    [
      "labels that objects have",
      () => configured(JSON.parse(`{"config":{"Labels":{"__proto__":"x"}},${JSON.stringify(sound).slice(1)}`)),
    ],
  ];
  for (const [what, path] of odd) {
    const store = createLocalStore(newFolder());
    const { digest } = await importImage(path(), { store, signal: new AbortController().signal });
    assert.ok((await store.stat(digest)) !== undefined, what);
  }
});

test("`importImage()` takes only what the image names, not what else an archive holds", async () => {
  const dir = newFolder();
  const files = [
    ...layoutFiles(),
    [blobName(Buffer.from("more")), Buffer.from("more")] as const,
    ["notes", Buffer.from("n")] as const,
  ];
  await importImage(writeArchive(archiveOf(files)), {
    store: createLocalStore(dir),
    signal: new AbortController().signal,
  });
  assert.equal(readdirSync(join(dir, "blobs/sha256")).length, 3);
  assert.deepEqual(readdirSync(join(dir, "tmp")), []);
});

test("`importImage()` refuses what is neither file nor folder, and a name that cannot be one, before it reads", async () => {
  const pipe = join(newFolder(), "pipe");
  execFileSync("mkfifo", [pipe]);
  const store = createLocalStore(newFolder());
  const code = (wanted: string) => (error: unknown) => error instanceof OperatorError && error.code === wanted;
  const signal = new AbortController().signal;
  await assert.rejects(importImage(pipe, { store, signal }), code("ARGUMENT_INVALID"));
  await assert.rejects(importImage(join(newFolder(), "none"), { store, signal }), code("NOT_FOUND"));
  await assert.rejects(importImage(pipe, { store, signal, name: "No Name" }), code("ARGUMENT_INVALID"));
});
