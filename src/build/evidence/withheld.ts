import { mediaTypes } from "../../image/media-types.ts";
import type { SecretAllowance } from "../../model/definition.ts";
import type { Blobs } from "../../ports/store.ts";
import type { SecretValue } from "../options.ts";
import { isAllowed } from "../secrets/refuse.ts";
import { fileRules, mayHoldSecret } from "../secrets/rules.ts";
import { scanLayer, type LayerScan } from "../secrets/scan-layer.ts";
import { scanText } from "../secrets/scanner.ts";
import type { ContextList } from "./context-list.ts";
import { materialTypes, type Material } from "./materials.ts";

/** What is looked at, and which findings are none. */
export interface SecretSearch extends LayerScan {
  readonly blobs: Blobs;
  readonly allowances: readonly SecretAllowance[];
}

/**
 * Whether a blob that would be kept holds what looks like a secret. The image itself is refused then; this is not part of it,
 * but goes wherever the image goes.
 */
export async function holdsSecret({ descriptor }: Material, search: SecretSearch): Promise<boolean> {
  const { mediaType } = descriptor;
  if (mediaType !== mediaTypes.layer && mediaType !== materialTypes.contextContents) return false;
  const found = await scanLayer(search.blobs, { ...descriptor, mediaType: mediaTypes.layer }, search);
  return found.some(({ path, rule }) => !isAllowed(`/${path}`, rule, search.allowances));
}

/** Whether files of a context are secrets by their names. */
export function namesSecret(list: ContextList, allowances: readonly SecretAllowance[]): boolean {
  const isSecret = (path: string): boolean =>
    fileRules.some((rule) => rule.path.test(path) && !isAllowed(`/${path}`, rule.id, allowances));
  for (const path of list.filePaths()) if (mayHoldSecret(path) && isSecret(path)) return true;
  return false;
}

/** An instruction without what looks like a secret: its first word, then. */
export function withoutSecrets(text: string, values: readonly SecretValue[]): string {
  return scanText(text, values).length === 0 ? text : `${/^\S*/.exec(text)?.[0] ?? ""} …`;
}

/** What a step wrote; nothing of it where something in it looks like a secret. */
export function outputWithoutSecrets(output: Buffer, values: readonly SecretValue[]): Buffer {
  if (output.byteLength === 0 || scanText(output.toString("latin1"), values).length === 0) return output;
  return Buffer.from("[left out: something in it looks like a secret]\n");
}
