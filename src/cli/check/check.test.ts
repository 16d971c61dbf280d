import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ArtifactDifference } from "../../build/compare.ts";
import { sha256 } from "../../model/canonical.ts";
import { withoutOptions } from "./arguments.ts";
import { copyProject } from "./copy-project.ts";
import { notReproducible } from "./not-reproducible.ts";

test("withoutOptions() leaves out options and their values, however they are written", () => {
  const argv = ["--state", "/s", "build", "--check", "--build-arg", "A=--check", "--file=x", "--json", "--", "--json"];
  assert.deepEqual(withoutOptions(argv, ["--check", "--json"], ["--state", "--file"]), [
    "build",
    "--build-arg",
    "A=--check",
    "--",
    "--json",
  ]);
});

test("copyProject() copies what a check-out has, with other modes and times, and leaves version control behind", async () => {
  const project = mkdtempSync(join(tmpdir(), "bronze-copy-"));
  const odd = Buffer.concat([Buffer.from(`${project}/`), Buffer.from([0xff, 0x0a])]);
  mkdirSync(join(project, ".git"));
  mkdirSync(join(project, "sub", ".git"), { recursive: true });
  writeFileSync(join(project, "sub", "tool"), "#!");
  chmodSync(join(project, "sub", "tool"), 0o755);
  linkSync(join(project, "sub", "tool"), join(project, "twin"));
  symlinkSync("nowhere", join(project, "link"));
  writeFileSync(odd, "odd");
  // More than goes into memory, and a place for it inside of the project.
  mkdirSync(join(project, "state", "check"), { recursive: true });
  writeFileSync(join(project, "large"), "");
  truncateSync(join(project, "large"), 257 * 2 ** 20);
  const copy = await copyProject(project, join(project, "state"), "a/b", new AbortController().signal);
  try {
    const at = (path: string): string => join(copy.root, "a/b", path);
    assert.deepEqual(readdirSync(at(""), "latin1").sort(), ["large", "link", "sub", "twin", "\xff\n"].sort());
    assert.ok(existsSync(at("sub/.git")));
    assert.equal(readFileSync(at("twin"), "utf8"), "#!");
    assert.equal(lstatSync(at("twin")).ino, lstatSync(at("sub/tool")).ino);
    assert.equal(lstatSync(at("twin")).mode & 0o777, 0o770);
    assert.equal(lstatSync(at("link")).mtimeMs, 1e12);
    assert.equal(readlinkSync(at("link")), "nowhere");
  } finally {
    await copy.remove();
    rmSync(project, { recursive: true });
  }
  assert.ok(!existsSync(copy.root));
});

test("notReproducible() tells the first difference in full, twenty by their place, and counts all", async () => {
  const differences = async function* (count: number): AsyncGenerator<ArtifactDifference> {
    yield {
      part: "layer",
      layer: 2,
      createdBy: "RUN date > /built",
      path: "built",
      field: "content",
      first: "08:00",
      second: "09:00",
      offset: 3,
      line: 1,
    };
    for (let index = 1; index < count; index += 1)
      yield { part: "layer", layer: 3, createdBy: "COPY", path: `f${index}`, field: "mode", first: "1", second: "2" };
  };
  const one = await notReproducible(sha256("1"), sha256("2"), differences(1));
  assert.equal(one.exitStatus, 7);
  assert.match(one.message, /differ in one place$/);
  assert.deepEqual(String(one.cause).split("\n"), [
    "layer 2 (RUN date > /built), /built: content at byte 3, line 1",
    "first:  08:00",
    "second: 09:00",
  ]);
  const many = await notReproducible(sha256("1"), sha256("2"), differences(50));
  const lines = String(many.cause).split("\n");
  assert.match(many.message, /differ in 50 places$/);
  assert.equal(lines.filter((line) => line.startsWith("also: layer 3 (COPY), /f")).length, 19);
  assert.equal(lines.at(-1), "in all: 1 × content in layer 2, 49 × mode in layer 3");
});
