import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "node:test";
import { mediaTypes } from "../../image/media-types.ts";
import { describe, serialiseConfig, serialiseIndex, serialiseManifest } from "../../image/oci.ts";
import type { TarEntry } from "../../image/tar-entry.ts";
import { writeTar, type TarSource } from "../../image/tar-write.ts";
import { sha256 } from "../../model/canonical.ts";
import { machineArchitecture } from "../image-state.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));
export function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-import-"));
  folders.push(dir);
  return dir;
}

export function member(path: string, content: string | Buffer = "", change: Partial<TarEntry> = {}): TarSource {
  const bytes = Buffer.from(content);
  const size = bytes.byteLength;
  const entry: TarEntry = { path, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size, target: "", ...change };
  return entry.kind === "file" ? { entry, content: () => [bytes] } : { entry };
}

export const symlink = (path: string, target: string): TarSource => member(path, "", { kind: "symlink", target });
export const hardlink = (path: string, target: string): TarSource => member(path, "", { kind: "hardlink", target });
export const folder = (path: string): TarSource => member(path, "", { kind: "directory", mode: 0o755 });

export const tar = (sources: readonly TarSource[]): Buffer =>
  Buffer.concat([...writeTar(sources)].map((piece) => Buffer.from(piece)));
export const goodTar = tar([member("app", "hello")]);

interface Parts {
  readonly layerTar?: Buffer;
  readonly layer?: Buffer;
  readonly mediaType?: string;
  readonly diffId?: ReturnType<typeof sha256>;
  readonly architecture?: string;
}

/** The files of an OCI layout of one layer, changed as asked. */
export function layoutFiles(parts: Parts = {}): Map<string, Buffer> {
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

/** An archive of files by their paths. */
export const archiveOf = (files: Iterable<readonly [path: string, bytes: Buffer]>): Buffer =>
  tar([...files].map(([path, bytes]) => member(path, bytes)));

export function writeFolder(files: ReadonlyMap<string, Buffer>): string {
  const dir = newFolder();
  mkdirSync(join(dir, "blobs", "sha256"), { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(dir, path), bytes);
  return dir;
}

export function writeArchive(bytes: Buffer): string {
  const file = join(newFolder(), "image.tar");
  writeFileSync(file, bytes);
  return file;
}
