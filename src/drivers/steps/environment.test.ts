import assert from "node:assert/strict";
import test from "node:test";
import { stepEnvironment } from "./environment.ts";

test("`stepEnvironment()` adds what is missing and nothing that the image or the request says", () => {
  assert.deepEqual(stepEnvironment([], "/root", 7), [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "TZ=UTC",
    "LANG=C.UTF-8",
    "SOURCE_DATE_EPOCH=7",
  ]);
  const said = ["PATH=/bin", "LC_ALL=de_DE.UTF-8", "TZ=Europe/Berlin", "HOME=", "SOURCE_DATE_EPOCH=1", "A=b=c"];
  assert.deepEqual(stepEnvironment(said, "/root", 7), said);
});

test("`stepEnvironment()` takes the last of several lines with one name", () => {
  const names = stepEnvironment(["A=1", "B=2", "A=3"], "/", 0).filter((line) => /^[AB]=/.test(line));
  assert.deepEqual(names, ["A=3", "B=2"]);
});
