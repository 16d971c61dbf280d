import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { tarPieces } from "../../image/tar-write.ts";
import { createTemporaries } from "../../store/temporary.ts";
import { openMemo } from "../cache/memo.ts";
import { composeLayer } from "./compose.ts";
import { beginReading, createContents } from "./contents.ts";
import type { LayerSource } from "./placement.ts";
import { openTree, type FoundFile } from "./walk.ts";

const count = 5000;
const folder = mkdtempSync(join(tmpdir(), "bronze-ahead-"));
after(() => rmSync(folder, { recursive: true, force: true }));
for (let number = 0; number < count; number += 1) {
  const dir = join(folder, `folder ${number % 30}`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, `näme ${number}`), `${number} `.repeat(number % 1000));
}
writeFileSync(join(folder, "large"), Buffer.alloc(300_000, "x"));
// More than is read and not yet taken.
for (let number = 0; number < 900; number += 1)
  writeFileSync(join(folder, `middle ${number}`), Buffer.alloc(60_000 + 70 * number, `${number}`));

/** @param expected which of the folder's files are said to be part of the layer before it is composed */
async function members(
  expected: (files: FoundFile[]) => readonly FoundFile[] = () => [],
): Promise<readonly LayerSource[]> {
  const contents = createContents(await openMemo(join(folder, "none"), createTemporaries(folder)));
  const files = [...openTree(folder).walk("")];
  for (const file of expected([...files])) contents.expect(file);
  const owner = { uid: 0, gid: 0 };
  return composeLayer(new Map(), [{ kind: "tree", files, contents, from: "", to: "", owner, mode: undefined }], 0);
}

function digestOf(sources: readonly LayerSource[]): string {
  const sum = createHash("sha256");
  for (const piece of tarPieces(sources, new AbortController().signal)) sum.update(piece);
  return sum.digest("hex");
}

test("`beginReading()` changes nothing in the layer, and contents have the same names", async () => {
  const plain = await members();
  const expected = digestOf(plain);
  const names = plain.map(({ bytes }) => bytes?.known());
  const before: Record<string, Parameters<typeof members>[0]> = {
    "nothing was expected": undefined,
    "all of it was expected": (files) => files,
    "less was expected": (files) => files.slice(0, -1),
    "more was expected": (files) => [...files, ...files],
    "another order was expected": (files) => files.reverse(),
  };
  for (const [what, files] of Object.entries(before)) {
    const ahead = await members(files);
    const end = beginReading(ahead);
    try {
      assert.equal(digestOf(ahead), expected, what);
    } finally {
      end();
    }
    const found = ahead.map(({ bytes }) => bytes?.known());
    assert.deepEqual(found, names, what);
  }
});

test("`beginReading()` leaves it to the layer to refuse a file that changed after it was found", async () => {
  const changes = [
    (path: string) => appendFileSync(path, "more"),
    (path: string) => rmSync(path),
    (path: string) => writeFileSync(path, ""),
  ];
  for (const [index, change] of changes.entries()) {
    const sources = await members();
    change(join(folder, "folder 29", `näme ${4949 - 30 * index}`));
    const end = beginReading(sources);
    try {
      assert.throws(
        () => digestOf(sources),
        (error) => error instanceof OperatorError && error.code === "BUILD_FAILED" && /it changed/.test(error.message),
      );
    } finally {
      end();
    }
  }
});
