import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readTar } from "./tar-read.ts";
import { writeTar } from "./tar-write.ts";

const long = `${"d".repeat(120)}/${"f".repeat(140)}`;

test("`writeTar()` writes what GNU tar lists without a warning", () => {
  const common = { uid: 0, gid: 0, mtime: 1_700_000_000, size: 0, target: "" };
  const bytes = Buffer.concat([
    ...writeTar([
      { entry: { ...common, path: "a", kind: "directory", mode: 0o1777 } },
      {
        entry: { ...common, path: "a/file", kind: "file", mode: 0o4755, size: 3, uid: 3_000_000 },
        content: () => [Buffer.from("abc")],
      },
      { entry: { ...common, path: "a/link", kind: "symlink", mode: 0o777, target: "t".repeat(150) } },
      { entry: { ...common, path: "b", kind: "hardlink", mode: 0o4755, target: "a/file" } },
      { entry: { ...common, path: long, kind: "file", mode: 0o644 } },
    ]),
  ]);
  const listing = execFileSync("tar", ["--list", "--verbose", "--numeric-owner", "--utc", "--file=-"], {
    input: bytes,
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  const rows = listing
    .trim()
    .split("\n")
    .map((row) => row.replace(/ +/g, " "));
  assert.deepEqual(rows, [
    "drwxrwxrwt 0/0 0 2023-11-14 22:13 a/",
    "-rwsr-xr-x 3000000/0 3 2023-11-14 22:13 a/file",
    `lrwxrwxrwx 0/0 0 2023-11-14 22:13 a/link -> ${"t".repeat(150)}`,
    "hrwsr-xr-x 0/0 0 2023-11-14 22:13 b link to a/file",
    `-rw-r--r-- 0/0 0 2023-11-14 22:13 ${long}`,
  ]);
});

test("`readTar()` reads GNU tar's ustar, pax and gnu formats", async () => {
  const dir = mkdtempSync(join(tmpdir(), "bronze-tar-"));
  try {
    writeFileSync(join(dir, "short"), "one");
    writeFileSync(join(dir, "n".repeat(180)), "two");
    for (const format of ["pax", "gnu"]) {
      const bytes = execFileSync(
        "tar",
        ["--create", `--format=${format}`, "--sort=name", "--file=-", "--directory", dir, "."],
        { encoding: "buffer" },
      );
      const found: string[] = [];
      for await (const { entry } of readTar(
        (async function* () {
          yield bytes;
        })(),
      ))
        found.push(`${entry.kind} ${entry.path} ${entry.size}`);
      assert.deepEqual(found, ["directory  0", `file ${"n".repeat(180)} 3`, "file short 3"], format);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
