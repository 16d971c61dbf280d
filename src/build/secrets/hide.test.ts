import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BuildEvent } from "../options.ts";
import { hideSecrets } from "./hide.ts";

const value = "hunter2hunter2/x";

function outputOf(pieces: readonly string[], secret = value): string {
  let seen = "";
  const report = hideSecrets(
    (event: BuildEvent) => {
      if (event.kind === "output") seen += event.bytes.toString();
      if (event.kind === "ended") seen += "|";
    },
    [{ id: "one", value: Buffer.from(secret) }],
  );
  for (const piece of pieces) report({ kind: "output", step: "1", bytes: Buffer.from(piece) });
  report({ kind: "ended", step: "1", how: "done", ms: 1 });
  return seen;
}

test("hideSecrets() takes a value out of a step's output, however it is cut into pieces", () => {
  const text = `token=${value}\nagain ${value}${value} and hunter2hunter`;
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 60, maxLength: 60 }), (lengths) => {
      const pieces: string[] = [];
      let rest = text;
      for (const length of lengths) {
        pieces.push(rest.slice(0, length));
        rest = rest.slice(length);
      }
      assert.equal(outputOf([...pieces, rest]), "token=[redacted]\nagain [redacted][redacted] and hunter2hunter|");
    }),
  );
});

test("hideSecrets() takes out single lines of a value, and keeps back nothing that cannot be one", () => {
  assert.equal(outputOf(["-- second-line --\n"], "first-line-\nsecond-line\nshort\n"), "-- [redacted] --\n|");
  assert.equal(outputOf(["plain\n", "short\n"], "first-line-\nsecond-line\nshort\n"), "plain\nshort\n|");
  const seen: string[] = [];
  const report = hideSecrets(
    (event) => void seen.push(event.kind === "output" ? event.bytes.toString() : event.kind),
    [{ id: "one", value: Buffer.from(value) }],
  );
  report({ kind: "output", step: "1", bytes: Buffer.from("working…\n") });
  report({ kind: "output", step: "2", bytes: Buffer.from("hunter2") });
  report({ kind: "output", step: "1", bytes: Buffer.from("hunter2") });
  assert.deepEqual(seen, ["working…\n"]);
  report({ kind: "ended", step: "2", how: "failed", ms: 1 });
  assert.deepEqual(seen, ["working…\n", "hunter2", "ended"]);
});
