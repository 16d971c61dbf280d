import type { LanguagePackage } from "./found.ts";

/** Bytes of a file that may be anything; `read` gives fewer where the file ends. */
export interface RandomBytes {
  readonly size: number;
  read(offset: number, length: number): Buffer;
}

const magic = Buffer.from("\xff Go buildinf:", "latin1");
const headerBytes = 32;
const sectionName = ".go.buildinfo\0";
const mostTextBytes = 4 * 2 ** 20;
const mostSections = 500;
const mostModules = 10_000;

/**
 * The modules that a Go program was made of, and the Go that made it; undefined for what was not made by Go 1.18 or later.
 *
 * @see Go's package debug/buildinfo: "inline" build information
 */
export function readGoProgram(file: RandomBytes): readonly LanguagePackage[] | undefined {
  const place = findBuildInfo(file);
  if (place === undefined) return undefined;
  const head = file.read(place, headerBytes);
  // Bit 1: strings follow, each after its length. Older programs have pointers to them.
  if (head.byteLength < headerBytes || ((head[15] ?? 0) & 2) === 0) return undefined;
  const go = readText(file, place + headerBytes);
  const modules = go === undefined ? undefined : readText(file, go.end);
  if (go === undefined || modules === undefined) return undefined;
  const version = /^go([0-9][A-Za-z0-9.+-]*)/.exec(go.text)?.[1];
  // Sixteen bytes before and after it say where it is, for programs that look for it otherwise.
  const listed = modules.text.length >= 33 ? readModules(modules.text.slice(16, -16)) : [];
  const standard = version === undefined ? [] : [{ ...golang, name: "stdlib", version }];
  return [...listed, ...standard];
}

const golang = { type: "golang", licence: "" } as const;

function readModules(text: string): readonly LanguagePackage[] {
  const rows: LanguagePackage[] = [];
  for (const line of text.split("\n")) {
    const [word, name = "", version = ""] = line.split("\t");
    if (word !== "mod" && word !== "dep" && word !== "=>") continue;
    if (!/^[A-Za-z0-9][A-Za-z0-9._~/!+-]{0,300}$/.test(name) || !/^[A-Za-z0-9.+()_-]{0,200}$/.test(version)) continue;
    // What stands in place of the module before.
    if (word === "=>") rows.pop();
    // A program that was built out of its own folder has no version.
    rows.push({ ...golang, name, version: version === "(devel)" ? "" : version });
    if (rows.length >= mostModules) break;
  }
  return rows;
}

/** A text with its length before it, as Go's encoding/binary writes unsigned numbers. */
function readText(file: RandomBytes, at: number): { readonly text: string; readonly end: number } | undefined {
  const head = file.read(at, 10);
  let length = 0;
  for (let i = 0; i < head.byteLength && i < 5; i += 1) {
    const byte = head[i] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if ((byte & 0x80) !== 0) continue;
    if (length > mostTextBytes || length > file.size) return undefined;
    const bytes = file.read(at + i + 1, length);
    return bytes.byteLength === length ? { text: bytes.toString("latin1"), end: at + i + 1 + length } : undefined;
  }
  return undefined;
}

/** Where in an ELF program of 64 bits build information begins: at its section, else near the start of its data. */
function findBuildInfo(file: RandomBytes): number | undefined {
  const elf = file.read(0, 64);
  if (elf.byteLength < 64 || elf.toString("latin1", 0, 4) !== "\x7fELF" || elf[4] !== 2 || elf[5] !== 1)
    return undefined;
  const section = sectionOf(file, elf);
  const places = section === undefined ? dataOf(file, elf) : [section];
  for (const { offset, size } of places) {
    const start = file.read(offset, Math.min(size, 64 * 1024));
    for (let at = start.indexOf(magic); at >= 0; at = start.indexOf(magic, at + 1))
      if (at % 16 === 0) return offset + at;
  }
  return undefined;
}

interface Range {
  readonly offset: number;
  readonly size: number;
}

function sectionOf(file: RandomBytes, elf: Buffer): Range | undefined {
  const count = elf.readUInt16LE(60);
  const names = elf.readUInt16LE(62);
  const width = elf.readUInt16LE(58);
  const at = number(elf, 40);
  if (at === undefined || width !== 64 || count > mostSections || names >= count) return undefined;
  const table = file.read(at, count * width);
  if (table.byteLength < count * width) return undefined;
  const rangeOf = (index: number): Range | undefined => {
    const offset = number(table, index * width + 24);
    const size = number(table, index * width + 32);
    return offset === undefined || size === undefined ? undefined : { offset, size };
  };
  const place = rangeOf(names);
  const texts = place === undefined ? undefined : file.read(place.offset, Math.min(place.size, 64 * 1024));
  for (let index = 0; index < count && texts !== undefined; index += 1) {
    const name = table.readUInt32LE(index * width);
    if (texts.toString("latin1", name, name + sectionName.length) === sectionName) return rangeOf(index);
  }
  return undefined;
}

/** Segments that are loaded and may be written. */
function dataOf(file: RandomBytes, elf: Buffer): readonly Range[] {
  const at = number(elf, 32);
  const width = elf.readUInt16LE(54);
  const count = elf.readUInt16LE(56);
  if (at === undefined || width !== 56 || count > mostSections) return [];
  const table = file.read(at, count * width);
  const found: Range[] = [];
  for (let row = 0; row + width <= table.byteLength; row += width) {
    const offset = number(table, row + 8);
    const size = number(table, row + 32);
    const isData = table.readUInt32LE(row) === 1 && (table.readUInt32LE(row + 4) & 2) !== 0;
    if (isData && offset !== undefined && size !== undefined) found.push({ offset, size });
  }
  return found.slice(0, 4);
}

/** A number of 64 bits; undefined where no file is that long. */
function number(bytes: Buffer, at: number): number | undefined {
  const value = bytes.readBigUInt64LE(at);
  return value > 2n ** 50n ? undefined : Number(value);
}
