import type { StepLayer } from "../../ports/step-runner.ts";
import { openImageTree, type ImageTreeOptions } from "../layer/image-tree.ts";
import type { Owner } from "../layer/placement.ts";
import { follow, type SourceTree } from "../layer/source-tree.ts";
import { InstructionProblem } from "./problems.ts";

const mostBytes = 2 ** 20;

/**
 * The numbers of `USER[:GROUP]`; names are looked up in the image's own /etc/passwd and /etc/group. A number alone is
 * the group's too.
 *
 * @param layers of the image into which files are put
 * @throws {InstructionProblem} for a name that the image does not know
 */
export async function resolveOwner(
  text: string,
  layers: readonly StepLayer[],
  options: ImageTreeOptions,
): Promise<Owner> {
  const [user = "", group = ""] = text.split(":");
  if (isNumber(user) && (group === "" || isNumber(group)))
    return { uid: Number(user), gid: Number(group === "" ? user : group) };
  const key = { version: 1, owner: text, layers: layers.map(({ diffId }) => diffId) };
  const known = (await options.cache.read("owners", key)) as Partial<Owner> | undefined;
  if (typeof known?.uid === "number" && typeof known.gid === "number") return { uid: known.uid, gid: known.gid };
  const tree = await openImageTree(layers, options);
  const row = isNumber(user) ? undefined : readRows(tree, "etc/passwd").find(([name]) => name === user);
  // An image without users has this one all the same.
  const uid = isNumber(user) ? Number(user) : Number(row?.[2] ?? (user === "root" ? 0 : Number.NaN));
  const gid =
    group === ""
      ? Number(row?.[3] ?? uid)
      : isNumber(group)
        ? Number(group)
        : Number(readRows(tree, "etc/group").find(([name]) => name === group)?.[2] ?? Number.NaN);
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(gid))
    throw new InstructionProblem(
      `the image does not know the user or group "${text.slice(0, 80)}"`,
      "invalid",
      "make it in a RUN before, or write numbers: 1000:1000",
    );
  await options.cache.write("owners", key, { uid, gid });
  return { uid, gid };
}

function isNumber(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text) && Number(text) < 2 ** 32;
}

function readRows(tree: SourceTree, path: string): readonly string[][] {
  const file = follow(tree, path);
  if (file?.kind !== "file" || file.size > mostBytes) return [];
  const pieces = [...tree.bytes(file).read()].map((piece) => Buffer.from(piece));
  return Buffer.concat(pieces)
    .toString("utf8")
    .split("\n")
    .map((row) => row.split(":"));
}
