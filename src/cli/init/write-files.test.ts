import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { openFolder, readText } from "./folder.ts";
import { writeFiles } from "./write-files.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bronze-init-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const files = [
  { path: "Dockerfile", text: "FROM x\n" },
  { path: "bronze.yaml", text: "app: a\n" },
];

test("writeFiles() writes whole files, and leaves nothing of one that was killed", (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, ".bronze.yaml.bronze-init"), "half");
  writeFiles(folder, files, false);
  assert.deepEqual(readdirSync(folder).toSorted(), ["Dockerfile", "bronze.yaml"]);
  assert.equal(readFileSync(join(folder, "bronze.yaml"), "utf8"), "app: a\n");
});

test("writeFiles() writes over nothing, not even where a link leads", (t) => {
  const folder = folderFor(t);
  symlinkSync("elsewhere", join(folder, "bronze.yaml"));
  assert.throws(
    () => writeFiles(folder, files, false),
    (error) =>
      error instanceof OperatorError && error.code === "USAGE" && /bronze\.yaml": it is there/.test(error.message),
  );
  assert.deepEqual(readdirSync(folder), ["bronze.yaml"]);
});

test("writeFiles() replaces bronze.yaml alone when it is told to", (t) => {
  const folder = folderFor(t);
  for (const path of ["Dockerfile", "bronze.yaml"]) writeFileSync(join(folder, path), "mine\n");
  assert.throws(() => writeFiles(folder, files, true), OperatorError);
  writeFiles(folder, files.slice(1), true);
  assert.equal(readFileSync(join(folder, "Dockerfile"), "utf8"), "mine\n");
  assert.equal(readFileSync(join(folder, "bronze.yaml"), "utf8"), "app: a\n");
});

test("openFolder() leaves out what tools fill and what lies deep, and reads regular files only", (t) => {
  const folder = folderFor(t);
  for (const path of ["node_modules/x", "a/b/c/d/e/f", "src"]) mkdirSync(join(folder, path), { recursive: true });
  for (const path of ["node_modules/x/package.json", "a/b/c/d/deep.js", "a/b/c/d/e/f/x.js", "src/x.js"])
    writeFileSync(join(folder, path), "x");
  writeFileSync(join(folder, "large"), Buffer.alloc(2 ** 21, "x"));
  const opened = openFolder(folder);
  assert.deepEqual(opened.entries, ["a/", "large", "node_modules/", "src/"]);
  assert.deepEqual(opened.files, ["a/b/c/d/deep.js", "large", "src/x.js"]);
  assert.equal(readText(opened, "large")?.length, 2 ** 20);
  assert.equal(readText(opened, "src"), undefined);
  assert.equal(readText(opened, "none"), undefined);
});
