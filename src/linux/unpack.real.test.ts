import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import type { TarEntry, TarKind } from "../image/tar-entry.ts";
import { encodeHeader, writeTar } from "../image/tar-write.ts";
import { loadSyscalls } from "./syscalls.ts";
import { unpackLayer } from "./unpack.ts";

type Member = readonly [path: string, kind: TarKind, content: string];
const entryOf = ([path, kind, content]: Member): TarEntry => {
  const isFile = kind === "file";
  const target = isFile ? "" : content;
  return { path, kind, mode: 0o755, uid: 0, gid: 0, mtime: 0, size: isFile ? content.length : 0, target };
};

/** An archive of members that need not be in order, nor sane. */
const archive = (members: readonly Member[]): Buffer =>
  Buffer.concat([
    ...members.flatMap((member) => {
      const entry = entryOf(member);
      const body = Buffer.alloc(Math.ceil(entry.size / 512) * 512);
      body.write(entry.kind === "file" ? member[2] : "", "latin1");
      return [Buffer.from(encodeHeader(entry)), body];
    }),
    Buffer.alloc(1024),
  ]);

const file = (path: string, content = "harm"): Member => [path, "file", content];
const link = (path: string, target: string): Member => [path, "symlink", target];
const hard = (path: string, target: string): Member => [path, "hardlink", target];
const dir = (path: string): Member => [path, "directory", ""];

/** Everything beside the folder that is unpacked into, as one comparable text; links are not followed. */
function canaryOf(folder: string): string {
  return readdirSync(folder)
    .filter((name) => name !== "tree")
    .sort()
    .map((name) => {
      const stats = lstatSync(join(folder, name));
      const text = stats.isDirectory() ? canaryOf(join(folder, name)) : readFileSync(join(folder, name), "latin1");
      return [name, stats.mode, stats.uid, stats.nlink, text].join(" ");
    })
    .join("\n");
}

const syscalls = loadSyscalls();

async function unpackInto<T>(bytes: Buffer, look: (tree: string, failure: unknown) => T): Promise<T> {
  const place = mkdtempSync(join(tmpdir(), "bronze-unpack-"));
  try {
    mkdirSync(join(place, "tree"));
    mkdirSync(join(place, "canary/folder"), { recursive: true });
    writeFileSync(join(place, "canary/file"), "untouched", { mode: 0o600 });
    writeFileSync(join(place, "layer.tar"), bytes);
    const before = canaryOf(place);
    const etc = readdirSync("/etc").sort();
    let failure: unknown;
    try {
      await unpackLayer(join(place, "layer.tar"), join(place, "tree"), syscalls);
    } catch (thrown) {
      failure = thrown;
    }
    assert.equal(canaryOf(place), before);
    assert.deepEqual(readdirSync("/etc").sort(), etc);
    assert.ok(failure === undefined || failure instanceof OperatorError, String(failure));
    return look(join(place, "tree"), failure);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

test("`unpackLayer()` gives folders the times of the archive, whatever comes between them and their members", async () => {
  const at = (path: string, kind: TarKind, mtime: number): TarEntry => ({ ...entryOf([path, kind, ""]), mtime });
  const members = [at("a", "directory", 1000), at("a-b", "file", 2000), at("a/c", "file", 3000)];
  const bytes = Buffer.concat([...writeTar(members.map((entry) => ({ entry, content: () => [] })))]);
  await unpackInto(bytes, (tree, failure) => {
    assert.equal(failure, undefined);
    const times = ["a", "a-b", "a/c"].map((path) => lstatSync(join(tree, path)).mtimeMs / 1000);
    assert.deepEqual(times, [1000, 2000, 3000]);
  });
});

const out = "../canary";
const hostile: readonly (readonly [string, readonly Member[]])[] = [
  ["a path that climbs", [file(`${out}/file`), file("../../bronze-escape")]],
  ["an absolute path", [file("/etc/bronze-escape")]],
  ["a file through a symlink out", [link("a", out), file("a/file"), file("a/new")]],
  ["a file through an absolute symlink", [link("a", "/etc"), file("a/bronze-escape")]],
  ["a file through two symlinks", [link("a", "b"), link("b", ".."), file("a/canary/file")]],
  ["a file through a folder's symlink", [dir("d"), link("d/a", "../../canary"), file("d/a/file")]],
  ["a symlink overwritten by a file", [link("a", `${out}/file`), file("a")]],
  ["a folder in a symlink's place", [link("a", out), dir("a"), file("a/new")]],
  ["a hard link out", [hard("a", `${out}/file`), file("a")]],
  ["a hard link to an absolute path", [hard("a", "/etc/passwd"), file("a")]],
  ["a hard link through a symlink", [link("s", out), hard("a", "s/file"), file("a")]],
  ["a hard link to a symlink out, then written", [link("s", `${out}/file`), hard("a", "s"), file("a")]],
  ["a whiteout of what is above", [file(".wh..."), file("d/.wh...", "")]],
  ["a whiteout of itself", [file(".wh.."), file(".wh.")]],
  ["a whiteout through a symlink", [link("a", out), file("a/.wh.file")]],
  ["an opaque marker through a symlink", [link("a", out), file("a/.wh..wh..opq")]],
  ["a whiteout that is a symlink", [link(".wh.a", `${out}/folder`), file("b")]],
  ["an opaque marker that is a symlink", [dir("d"), link("d/.wh..wh..opq", `../${out}/folder`)]],
  ["a whiteout that is a folder with whiteouts", [dir(".wh.a"), file(".wh.a/.wh.b"), file(".wh.a/c/d")]],
  ["names with line ends and quotes", [file("a\n/b\\'\"/.wh.c"), file("$(touch x)/--flag")]],
  ["options as names", [file("--to-command=sh"), file("-C/-rf")]],
];

test("unpackLayer() never writes outside its folder, whatever the archive", async (t) => {
  let refused = 0;
  for (const [what, members] of hostile) {
    await t.test(what, async () => {
      const failure = await unpackInto(archive(members), (_, thrown) => thrown);
      if (failure !== undefined) refused += 1;
      assert.ok(
        failure === undefined || (failure instanceof OperatorError && failure.exitStatus === 7),
        String(failure),
      );
    });
  }
  t.diagnostic(`${hostile.length} archives, ${refused} refused, the others unpacked inside`);
});

test("unpackLayer() refuses device nodes and what is no archive, exit 7", async () => {
  const cases: readonly Buffer[] = [
    Buffer.concat([...writeTar([{ entry: entryOf(["null", "character", ""]) }])]),
    Buffer.concat([...writeTar([{ entry: entryOf(["disk", "block", ""]) }])]),
    Buffer.from("no archive".repeat(100)),
    archive([file("a", "x".repeat(2000))]).subarray(0, 1200),
  ];
  for (const bytes of cases) {
    const failure = await unpackInto(bytes, (_, thrown) => thrown);
    assert.ok(failure instanceof OperatorError && failure.exitStatus === 7, String(failure));
  }
});

test("unpackLayer() applies whiteouts beside names that are no UTF-8", async () => {
  const members = [file("d\xe4/x\xff"), file("d\xe4/.wh.y\xfe"), file("o\xe4/.wh..wh..opq"), file("o\xe4/in\xfd/z")];
  await unpackInto(archive(members), (tree, failure) => {
    assert.equal(failure, undefined);
    const names = readdirSync(Buffer.from(`${tree}/d\xe4`, "latin1"), { encoding: "latin1" });
    assert.deepEqual(names.sort(), ["x\xff", "y\xfe"]);
    assert.ok(lstatSync(Buffer.from(`${tree}/d\xe4/y\xfe`, "latin1")).isCharacterDevice());
    for (const path of ["d\xe4", "o\xe4", "o\xe4/in\xfd"])
      assert.equal(lstatSync(Buffer.from(`${tree}/${path}`, "latin1")).mtimeMs, 0, path);
    assert.deepEqual(readdirSync(tree).length, 2);
  });
});
