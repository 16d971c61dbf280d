import assert from "node:assert/strict";
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { createBuildCache } from "../cache.ts";
import { openContext } from "./context.ts";
import { openTree } from "./walk.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));
const signal = new AbortController().signal;

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-context-"));
  folders.push(dir);
  return dir;
}

test("`openTree()` looks at nothing below a folder that stays out, and reads each folder once", () => {
  const root = newFolder();
  mkdirSync(join(root, "node_modules", "deep", "er"), { recursive: true });
  mkdirSync(join(root, "src"));
  writeFileSync(join(root, "src", "a.js"), "");
  const asked: string[] = [];
  const tree = openTree(root, {
    skips: (path) => {
      asked.push(path);
      return path === "node_modules";
    },
    mayKeepBelow: () => false,
  });
  const walk = (): readonly string[] => [...tree.walk("")].map(({ path }) => path);
  assert.deepEqual(walk(), ["", "src", "src/a.js"]);
  const first = [...asked];
  assert.deepEqual(first, ["node_modules", "src", "src/a.js"]);
  writeFileSync(join(root, "src", "b.js"), "");
  assert.deepEqual(walk(), ["", "src", "src/a.js"]);
  assert.deepEqual(asked, first);
});

test("`openTree()` walks in the order of a layer: what is in a folder after names that begin with its own", () => {
  const root = newFolder();
  const paths = ["", "a", "a-", "a-/b", "a-b", "a.txt", "a/b", "a/b c", "a/b/c", "a/b0", "a0", "b", "b/a"];
  for (const path of paths)
    if (path === "" || paths.some((other) => other.startsWith(`${path}/`)))
      mkdirSync(join(root, path), { recursive: true });
    else writeFileSync(join(root, path), "");
  const walk = (start: string, depth?: number): readonly string[] =>
    [...openTree(root).walk(start, depth)].map(({ path }) => path);
  assert.deepEqual(walk(""), paths);
  assert.deepEqual(walk("a"), ["a", "a/b", "a/b c", "a/b/c", "a/b0"]);
  assert.deepEqual(
    walk("", 1),
    paths.filter((path) => !path.includes("/")),
  );
});

test("`openContext()` gives no bytes of a file that is not the one it found any more", async () => {
  const isRefused = (error: unknown): boolean =>
    error instanceof OperatorError &&
    error.code === "BUILD_FAILED" &&
    error.message.includes("changed while it was read");
  const changes: readonly (readonly [string, (file: string) => void])[] = [
    ["other bytes of the same size", (file) => writeFileSync(file, "other")],
    ["more bytes", (file) => writeFileSync(file, "longer than before")],
    ["fewer bytes", (file) => writeFileSync(file, "")],
    ["gone", (file) => rmSync(file)],
    [
      "a link in its place",
      (file) => {
        rmSync(file);
        symlinkSync("/etc/hostname", file);
      },
    ],
    [
      "another file in its place",
      (file) => {
        writeFileSync(`${file}.new`, "other");
        utimesSync(`${file}.new`, 5, 5);
        renameSync(`${file}.new`, file);
      },
    ],
  ];
  for (const [what, change] of changes) {
    const root = newFolder();
    const file = join(root, "file");
    writeFileSync(file, "bytes");
    utimesSync(file, 5, 5);
    const context = await openContext(root, createBuildCache(newFolder()), signal);
    const found = context.tree.at("file");
    assert.ok(found !== undefined);
    const bytes = context.tree.bytes(found);
    assert.deepEqual(Buffer.concat([...bytes.read()].map((piece) => Buffer.from(piece))).toString(), "bytes");
    change(file);
    assert.throws(() => [...bytes.read()], isRefused, `read: ${what}`);
    assert.throws(() => bytes.fill(Buffer.alloc(100), 0, 0), isRefused, `fill: ${what}`);
  }
});

test("`openContext()` gives the bytes of a file that gets or loses a link elsewhere meanwhile", async () => {
  const root = newFolder();
  const file = join(root, "file");
  const link = join(newFolder(), "link");
  writeFileSync(file, "bytes");
  for (const change of [(): void => linkSync(file, link), (): void => rmSync(link)]) {
    const context = await openContext(root, createBuildCache(newFolder()), signal);
    const found = context.tree.at("file");
    assert.ok(found !== undefined);
    change();
    const read = Buffer.concat([...context.tree.bytes(found).read()].map((piece) => Buffer.from(piece)));
    assert.equal(read.toString(), "bytes");
  }
});
