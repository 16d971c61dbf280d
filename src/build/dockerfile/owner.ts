import { readTar } from "../../image/tar-read.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import { layerTar } from "../layer/blob.ts";
import type { Owner } from "../layer/compose.ts";
import { invalid } from "./parse.ts";

const mostBytes = 2 ** 20;

/**
 * The numbers of `--chown=USER[:GROUP]`; names are looked up in the image's own /etc/passwd and /etc/group.
 *
 * @throws {OperatorError} `DEFINITION_INVALID` for a name that the image does not know
 */
export async function resolveOwner(
  chown: string | undefined,
  layers: readonly Descriptor[],
  store: Store,
  file: string,
  line: number,
): Promise<Owner> {
  if (chown === undefined) return { uid: 0, gid: 0 };
  const [user = "", group] = chown.split(":");
  const users = isNumber(user) ? [] : await readRows("etc/passwd", layers, store);
  const row = users.find(([name]) => name === user);
  const uid = isNumber(user) ? Number(user) : Number(row?.[2] ?? Number.NaN);
  const gid =
    group === undefined
      ? row === undefined
        ? uid
        : Number(row[3])
      : isNumber(group)
        ? Number(group)
        : Number((await readRows("etc/group", layers, store)).find(([name]) => name === group)?.[2] ?? Number.NaN);
  if (Number.isInteger(uid) && Number.isInteger(gid)) return { uid, gid };
  throw invalid(file, line, `--chown=${chown}: the image below does not know that user or group`);
}

function isNumber(text: string): boolean {
  return /^[0-9]{1,9}$/.test(text);
}

async function readRows(path: string, layers: readonly Descriptor[], store: Store): Promise<readonly string[][]> {
  for (const layer of layers.toReversed()) {
    for await (const { entry, content } of readTar(layerTar(store, layer))) {
      if (entry.path !== path || entry.kind !== "file" || entry.size > mostBytes) continue;
      const pieces: Buffer[] = [];
      for await (const piece of content()) pieces.push(Buffer.from(piece));
      return Buffer.concat(pieces)
        .toString("utf8")
        .split("\n")
        .map((row) => row.split(":"));
    }
  }
  return [];
}
