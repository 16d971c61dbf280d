import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { writeDurable } from "./durable.ts";
import { QuickFile } from "./quick-file.ts";

/** A folder on a file system of 128 KiB. */
function smallDisk(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bronze-small-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=128k", "tmpfs", folder]);
  t.after(() => {
    execFileSync("umount", [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

function fill(folder: string): void {
  assert.throws(
    () => {
      for (;;) appendFileSync(join(folder, "filler"), Buffer.alloc(4096));
    },
    { code: "ENOSPC" },
  );
}

const isFull = (error: unknown): boolean =>
  error instanceof OperatorError && error.code === "DISK_FULL" && error.message.includes("(0 bytes free)");

test("writeDurable() on a full disk keeps the old file, leaves nothing half-written, and says where and how much is free", (t) => {
  const folder = smallDisk(t);
  const path = join(folder, "haproxy.cfg");
  writeDurable(path, "old");
  fill(folder);
  assert.throws(() => writeDurable(path, "n".repeat(10_000)), isFull);
  assert.equal(readFileSync(path, "utf8"), "old");
  assert.deepEqual(readdirSync(folder).sort(), ["filler", "haproxy.cfg"]);
});

test("QuickFile.replace() goes through on a full disk, again and again, as long as the text fits the file's blocks", async (t) => {
  const folder = smallDisk(t);
  const path = join(folder, "routes.map");
  writeFileSync(path, `${"#".repeat(4000)}\n`);
  const file = new QuickFile(path);
  fill(folder);
  for (const value of ["v2", "v1", "v3"]) {
    file.replace(`shop ${value}\n`);
    assert.equal(readFileSync(path, "utf8").trim(), `shop ${value}`);
  }
  assert.throws(() => file.replace("x".repeat(10_000)), isFull);
  assert.equal(readFileSync(path, "utf8").trim(), "shop v3");
  await file.close();
});
