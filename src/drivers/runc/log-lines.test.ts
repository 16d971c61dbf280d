import assert from "node:assert/strict";
import test from "node:test";
import { joinPartial, parseLogLine } from "./log-lines.ts";

test("parseLogLine() reads what conmon writes, and nothing else", () => {
  assert.deepEqual(parseLogLine("2026-08-01T10:00:00.123456789+00:00 stderr F a  b "), {
    at: "2026-08-01T10:00:00.123456789+00:00",
    stream: "stderr",
    partial: false,
    text: "a  b ",
  });
  assert.equal(parseLogLine("2026-08-01T10:00:00Z stdout F ")?.text, "");
  for (const line of ["", "nonsense", "2026 stdin F x", "2026 stdout Q x"])
    assert.equal(parseLogLine(line), undefined, line);
});

test("joinPartial() joins the pieces of each stream by itself", () => {
  const join = joinPartial();
  const feed = (line: string): readonly string[] => join.push(parseLogLine(line)).map(({ text }) => text);
  assert.deepEqual(feed("1 stdout P ab"), []);
  assert.deepEqual(feed("2 stderr F other"), ["other"]);
  assert.deepEqual(feed("3 stdout F cd"), ["abcd"]);
  assert.deepEqual(feed("4 stdout F next"), ["next"]);
  assert.deepEqual(feed("5 stderr P no newline"), []);
  assert.deepEqual(
    join.rest().map(({ text }) => text),
    ["no newline"],
  );
  assert.deepEqual(join.rest(), []);
});
