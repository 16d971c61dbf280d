import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { QuickFile } from "./quick-file.ts";

test("QuickFile holds the last text and empty lines, also when replaced faster than spares are made", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-quick-"));
  const path = join(folder, "routes.map");
  const file = new QuickFile(path);
  for (let round = 0; round < 50; round += 1) {
    const text = `line ${round}\n`.repeat(1 + ((round * 37) % 900));
    file.replace(text);
    const found = readFileSync(path, "utf8");
    assert.equal(found.slice(0, text.length), text);
    assert.match(found.slice(text.length), /^\n*$/);
    if (round % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await file.close();
  assert.equal(existsSync(`${path}.spare`), false);
  rmSync(folder, { recursive: true });
});

test("replace() takes an empty text, before any spare was made too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-quick-"));
  const path = join(folder, "routes.map");
  const file = new QuickFile(path);
  file.replace("");
  file.replace("");
  assert.match(readFileSync(path, "utf8"), /^\n*$/);
  await file.close();
  rmSync(folder, { recursive: true });
});
