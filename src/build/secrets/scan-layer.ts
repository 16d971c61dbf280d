import { readTar } from "../../image/tar-read.ts";
import type { BytePath } from "../../image/tar-entry.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { layerTar } from "../layer/blob.ts";
import { fileRules, harmlessBecause, mayHoldSecret, rulesVersion, type FileRule } from "./rules.ts";
import type { SecretValue } from "../options.ts";
import { isValueRule, SecretScanner, type Hit } from "./scanner.ts";

/** A secret in a layer: where, never what. */
export interface LayerSecret {
  readonly path: BytePath;
  readonly rule: string;
  /** From 1; a binary file has lines too. */
  readonly line: number;
}

export interface LayerScan {
  readonly cache: BuildCache;
  readonly signal: AbortSignal;
  /** What was handed to the build as its secrets. */
  readonly values: readonly SecretValue[];
}

/** More of them say nothing new, and a layer may be made of them. */
const mostSecrets = 100;
/** Files that are read for their purpose are small. */
const longestNamedFile = 1 << 20;

/**
 * Secrets in the files of one layer, by path and rule, each once. What rules find is remembered by the layer's digest;
 * values of the build's secrets are looked for each time, as nothing of them may be kept.
 */
export async function scanLayer(blobs: Blobs, layer: Descriptor, scan: LayerScan): Promise<readonly LayerSecret[]> {
  const key = keyOf(layer.digest);
  const known = (await scan.cache.read("secrets", key)) as { found?: unknown } | undefined;
  const remembered = Array.isArray(known?.found) ? (known.found as LayerSecret[]) : undefined;
  if (remembered !== undefined && scan.values.length === 0) return remembered;
  const hits = await search(blobs, layer, { ...scan, rules: remembered === undefined });
  const found = await withLines(blobs, layer, hits, scan.signal);
  const byRules = remembered ?? found.filter(({ rule }) => !isValueRule(rule));
  if (remembered === undefined)
    await scan.cache.write("secrets", key, { found: byRules.map((secret) => ({ ...secret })) });
  return [...byRules, ...found.filter(({ rule }) => isValueRule(rule))];
}

/** Remembers that no rule finds anything in a layer. */
export function rememberClean(cache: BuildCache, layer: Digest): Promise<void> {
  return cache.write("secrets", keyOf(layer), { found: [] });
}

function keyOf(layer: Digest): { readonly version: number; readonly layer: Digest } {
  return { version: rulesVersion, layer };
}

async function search(
  blobs: Blobs,
  layer: Descriptor,
  { rules, values, signal }: LayerScan & { readonly rules: boolean },
): Promise<readonly Hit[]> {
  const hits = new Map<string, Hit>();
  const take = (hit: Hit): void => {
    const key = JSON.stringify([hit.rule, hit.path]);
    if (hits.size >= mostSecrets || hits.has(key)) return;
    if (!isValueRule(hit.rule) && harmlessBecause(hit.rule, hit.path) !== undefined) return;
    hits.set(key, hit);
  };
  const scanner = new SecretScanner({ rules, values }, take);
  for await (const { entry, content } of readTar(layerTar(blobs, layer))) {
    signal.throwIfAborted();
    if (entry.kind !== "file" || entry.size === 0) continue;
    const fileRule =
      rules && mayHoldSecret(entry.path) ? fileRules.find((rule) => rule.path.test(entry.path)) : undefined;
    const kept: Buffer[] = [];
    let offset = 0;
    for await (const piece of content()) {
      scanner.add(entry.path, offset, piece);
      offset += piece.byteLength;
      if (fileRule !== undefined && offset <= longestNamedFile) kept.push(piece);
    }
    scanner.endFile();
    if (fileRule === undefined) continue;
    const at = lineOffset(Buffer.concat(kept).toString("latin1"), fileRule);
    if (at !== undefined) take({ path: entry.path, rule: fileRule.id, offset: at });
  }
  scanner.end();
  return [...hits.values()];
}

/** Where the first line is that a rule is about; undefined where there is none. */
export function lineOffset(text: string, { line }: FileRule): number | undefined {
  let offset = 0;
  for (const row of text.split("\n")) {
    if (line.test(row)) return offset;
    offset += row.length + 1;
  }
  return undefined;
}

/** Lines are counted only where something was found, which ends nearly every build. */
async function withLines(
  blobs: Blobs,
  layer: Descriptor,
  hits: readonly Hit[],
  signal: AbortSignal,
): Promise<readonly LayerSecret[]> {
  if (hits.length === 0) return [];
  const byPath = Map.groupBy(hits, ({ path }) => path);
  const found: LayerSecret[] = [];
  for await (const { entry, content } of readTar(layerTar(blobs, layer))) {
    signal.throwIfAborted();
    const here = [...(byPath.get(entry.path) ?? [])].sort((a, b) => a.offset - b.offset);
    if (here.length === 0 || entry.kind !== "file") continue;
    let line = 1;
    let offset = 0;
    for await (const piece of content()) {
      let counted = 0;
      const countTo = (end: number): void => {
        for (let at = piece.indexOf(0x0a, counted); at >= 0 && at < end; at = piece.indexOf(0x0a, at + 1)) line += 1;
        counted = end;
      };
      for (let next = here[0]; next !== undefined && next.offset < offset + piece.byteLength; next = here[0]) {
        countTo(next.offset - offset);
        found.push({ path: next.path, rule: next.rule, line });
        here.shift();
      }
      if (here.length === 0) break;
      countTo(piece.byteLength);
      offset += piece.byteLength;
    }
  }
  return found;
}
