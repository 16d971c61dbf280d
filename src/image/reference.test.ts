import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { fullName, parsePlatform, parseReference, shortName, storeName } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

const names: readonly [written: string, full: string, short: string][] = [
  ["debian", "docker.io/library/debian:latest", "debian:latest"],
  ["library/debian", "docker.io/library/debian:latest", "debian:latest"],
  ["docker.io/debian:12", "docker.io/library/debian:12", "debian:12"],
  ["index.docker.io/library/debian:12", "docker.io/library/debian:12", "debian:12"],
  ["team/shop:v1", "docker.io/team/shop:v1", "team/shop:v1"],
  ["library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1"],
  ["ghcr.io/team/shop", "ghcr.io/team/shop:latest", "ghcr.io/team/shop:latest"],
  ["localhost/shop:1", "localhost/shop:1", "localhost/shop:1"],
  ["127.0.0.1:5000/a__b/c-d.e:V_1.x", "127.0.0.1:5000/a__b/c-d.e:V_1.x", "127.0.0.1:5000/a__b/c-d.e:V_1.x"],
  ["[::1]:5000/a:1", "[::1]:5000/a:1", "[::1]:5000/a:1"],
  ["Registry.Example/a:1", "registry.example/a:1", "registry.example/a:1"],
  [`debian@${digest}`, `docker.io/library/debian@${digest}`, "debian"],
  [`debian:12@${digest}`, `docker.io/library/debian:12@${digest}`, "debian:12"],
];

test("`parseReference()` fills in Docker's defaults, and every way of writing a name is the same name", () => {
  for (const [written, full, short] of names) {
    const reference = parseReference(written);
    assert.equal(fullName(reference), full, written);
    assert.equal(shortName(reference), short, written);
    assert.deepEqual(parseReference(full), reference, written);
    if (reference.digest === null) assert.deepEqual(parseReference(short), reference, written);
    assert.equal(storeName(reference), reference.tag === null ? null : short);
  }
});

test("`parseReference()` refuses what is no name", () => {
  const longest = `${"a/".repeat(127)}aa`;
  for (const text of [
    "",
    ":1",
    "a:",
    "a:.1",
    `a:${"1".repeat(129)}`,
    "Shop:1",
    "a//b",
    "/a",
    "a/",
    "a..b",
    "-a",
    "a_-b",
    "ghcr.io/",
    "ho st.x/a",
    "-x.y/a",
    "0x7f.1/a",
    "1.2.3.999/a",
    "a.b:99999/a",
    "[::01]/a",
    "HOST/a",
    "../a",
    "a@sha256:12",
    `a@sha512:${"a".repeat(128)}`,
    "a@",
    longest,
    "a\nb",
    "x".repeat(501),
  ])
    assert.throws(
      () => parseReference(text),
      (error) => error instanceof OperatorError && error.code === "ARGUMENT_INVALID",
      text,
    );
});

test("`parsePlatform()` takes variants that say nothing away, and other words for the same", () => {
  assert.equal(parsePlatform("linux/arm64/v8"), "linux/arm64");
  assert.equal(parsePlatform("linux/x86_64"), "linux/amd64");
  assert.equal(parsePlatform("linux/arm/v7"), "linux/arm/v7");
  for (const text of ["linux", "linux/", "Linux/amd64", "linux/amd64/v1/x", "linux/amd64\n"])
    assert.throws(() => parsePlatform(text), text);
});
