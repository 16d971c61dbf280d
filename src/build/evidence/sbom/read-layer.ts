import { closeSync, openSync, readSync } from "node:fs";
import { createLayerCheck } from "../../../image/layer-check.ts";
import { parentOf, type BytePath } from "../../../image/tar-entry.ts";
import { readTar } from "../../../image/tar-read.ts";
import type { Digest, Json } from "../../../model/canonical.ts";
import type { StepLayer } from "../../../ports/step-runner.ts";
import type { Blobs } from "../../../ports/store.ts";
import type { BuildCache } from "../../cache.ts";
import { isProjectFile, type LayerBytes } from "../../layer/contents.ts";
import { plainTar } from "../../layer/plain-tar.ts";
import type { LayerSource } from "../../layer/placement.ts";
import { seekableBytes } from "../../layer/seekable.ts";
import { joinPath, nameOf } from "../../layer/source-tree.ts";
import { hexOf } from "../context-list.ts";
import type { LayerFacts } from "./found.ts";
import { countReads, factsOfLayer, type LayerFile, type LayerShape } from "./layer-facts.ts";

export interface LayerReading {
  readonly blobs: Blobs;
  readonly cache: BuildCache;
  readonly signal: AbortSignal;
  /** Members of layers that this build made of the project's files, whose contents have names. */
  readonly made?: ReadonlyMap<Digest, readonly LayerSource[]>;
}

/** Grows whenever equal layers give other facts. */
const version = 2;

/** What a layer tells for a bill of materials; each layer is looked through once per cache. */
export async function layerFacts(layer: StepLayer, reading: LayerReading): Promise<LayerFacts> {
  const { cache, signal } = reading;
  const key = { version, layer: layer.diffId };
  const shape = shapeOfMade(reading.made?.get(layer.diffId));
  if (shape !== undefined && countReads(shape) <= mostReads) return factsOfLayer(shape, signal);
  const known = await cache.read("sboms", key);
  if (isFacts(known)) return known;
  const facts = shape === undefined ? await factsOfTar(layer, reading) : await factsOfLayer(shape, signal);
  await cache.write("sboms", key, facts as unknown as Json);
  return facts;
}

/** To read a record of many files, and to write it, takes longer than to look at their names again and read a few. */
const mostReads = 50;

async function factsOfTar(layer: StepLayer, { blobs, signal }: LayerReading): Promise<LayerFacts> {
  const file = openSync(await plainTar(blobs, layer, signal), "r");
  try {
    const shape = await shapeOfTar(file, signal);
    return await factsOfLayer(shape, signal);
  } finally {
    closeSync(file);
  }
}

async function shapeOfTar(file: number, signal: AbortSignal): Promise<LayerShape> {
  const removed: BytePath[] = [];
  const emptied: BytePath[] = [];
  const files = new Map<BytePath, LayerFile>();
  const check = createLayerCheck();
  for await (const { entry, offset } of readTar(seekableBytes(file, 0))) {
    signal.throwIfAborted();
    check(entry);
    const { path, kind, size, mode } = entry;
    const name = nameOf(path);
    if (name === ".wh..wh..opq") emptied.push(parentOf(path));
    else if (name.startsWith(".wh.")) removed.push(joinPath(parentOf(path), name.slice(4)));
    else if (kind === "file") files.set(path, new TarFile(file, offset, path, size, mode));
    else if (kind === "hardlink") {
      const first = files.get(entry.target);
      if (first instanceof TarFile) files.set(path, first.named(path));
    }
  }
  return { removed, emptied, files: [...files.values()] };
}

/** A class, for there may be a million of them. */
class TarFile implements LayerFile {
  readonly #file: number;
  readonly #offset: number;
  readonly path: BytePath;
  readonly size: number;
  readonly mode: number;

  constructor(file: number, offset: number, path: BytePath, size: number, mode: number) {
    this.#file = file;
    this.#offset = offset;
    this.path = path;
    this.size = size;
    this.mode = mode;
  }

  named(path: BytePath): TarFile {
    return new TarFile(this.#file, this.#offset, path, this.size, this.mode);
  }

  read(offset: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    const bytes = Buffer.allocUnsafe(wanted);
    const count = wanted === 0 ? 0 : readSync(this.#file, bytes, 0, wanted, this.#offset + offset);
    return bytes.subarray(0, count);
  }
}

/** Larger programs are read where they lie in the layer's archive. */
const mostProgram = 1 << 20;

/** A layer of the project's files, of which nothing has to be read again; undefined where something would be. */
function shapeOfMade(members: readonly LayerSource[] | undefined): LayerShape | undefined {
  if (members === undefined) return undefined;
  const files: MadeFile[] = [];
  let byPath: Map<BytePath, MadeFile> | undefined;
  for (const { entry, bytes } of members) {
    const { path, kind, size, mode } = entry;
    if (kind === "hardlink") {
      byPath ??= new Map(files.map((file) => [file.path, file]));
      const first = byPath.get(entry.target);
      if (first === undefined) return undefined;
      files.push(first.named(path));
    }
    if (kind !== "file" || bytes === undefined) continue;
    const known = isProjectFile(bytes) ? bytes.known() : undefined;
    if (known === undefined || ((mode & 0o111) !== 0 && size > mostProgram)) return undefined;
    const file = new MadeFile(bytes, known, path, size, mode);
    files.push(file);
    byPath?.set(path, file);
  }
  return { removed: [], emptied: [], files };
}

/** A class, for there may be a million of them. */
class MadeFile implements LayerFile {
  readonly #bytes: LayerBytes;
  readonly #known: string;
  readonly path: BytePath;
  readonly size: number;
  readonly mode: number;

  /** @param known its sha256, one character a byte */
  constructor(bytes: LayerBytes, known: string, path: BytePath, size: number, mode: number) {
    this.#bytes = bytes;
    this.#known = known;
    this.path = path;
    this.size = size;
    this.mode = mode;
  }

  get content(): string {
    return hexOf(this.#known);
  }

  named(path: BytePath): MadeFile {
    return new MadeFile(this.#bytes, this.#known, path, this.size, this.mode);
  }

  read(offset: number, length: number): Buffer {
    const pieces: Buffer[] = [];
    let at = 0;
    for (const piece of this.#bytes.read()) {
      const from = Math.max(0, offset - at);
      const part = piece.subarray(from, Math.max(from, offset + length - at));
      // The piece is only valid until the next one.
      if (part.byteLength > 0) pieces.push(Buffer.from(part));
      at += piece.byteLength;
    }
    return Buffer.concat(pieces);
  }
}

function isFacts(value: unknown): value is LayerFacts {
  return typeof value === "object" && value !== null && Array.isArray((value as Partial<LayerFacts>).files);
}
