import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readMounts } from "./mountinfo.ts";
import { jailed } from "./jail.ts";
import { run } from "./process.ts";

test("jailed() shows a program one folder and nothing that a link in it leads to, and leaves no mount", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bz-jail-"));
  try {
    mkdirSync(join(folder, "a b"));
    writeFileSync(join(folder, "a b/file"), "text");
    writeFileSync(join(folder, "../bz-outside"), "secret");
    symlinkSync("/etc", join(folder, "absolute"));
    symlinkSync("../..", join(folder, "above"));
    const before = readMounts().length;
    const perl = (...command: string[]) => run("perl", jailed(folder, command));
    assert.equal((await perl("cat", "a b/file")).stdout, "text");
    for (const path of ["absolute/passwd", "above/bz-outside", "../../bz-outside", "/etc/passwd", "/proc/self/environ"])
      assert.notEqual((await perl("cat", path)).code, 0, path);
    assert.equal((await perl("sh", "-c", "echo 1 >new && ls")).stdout, "a b\nabove\nabsolute\nnew\n");
    assert.notEqual((await perl("touch", "/usr/bin/new")).code, 0);
    assert.equal((await perl("no-such-program")).code, 125);
    assert.equal(readMounts().length, before);
  } finally {
    rmSync(join(folder, "../bz-outside"));
    rmSync(folder, { recursive: true });
  }
});
