import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readAtMost } from "./bounded-file.ts";

test("`readAtMost()` reads what is no longer than allowed, and nothing endless", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-bounded-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "file");
  for (const size of [0, 1, 300_000]) {
    const bytes = Buffer.alloc(size, "ab");
    writeFileSync(path, bytes);
    assert.deepEqual(await readAtMost(path, size), bytes);
    if (size > 0) assert.equal(await readAtMost(path, size - 1), undefined);
  }
  assert.equal(await readAtMost("/dev/zero", 1_000_000), undefined);
  await assert.rejects(readAtMost(join(folder, "none"), 1), { code: "ENOENT" });
});
