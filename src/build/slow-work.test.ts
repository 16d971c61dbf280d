import assert from "node:assert/strict";
import { test } from "node:test";
import { tellWhenSlow } from "./slow-work.ts";

test("tellWhenSlow() makes a step of work that lasts, and none of work that does not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const seen: string[] = [];
  const report = (event: { readonly kind: string }): void => void seen.push(event.kind);
  const step = { step: "secrets", text: "look for secrets" };
  assert.equal(await tellWhenSlow(report, step, () => Promise.resolve(7)), 7);
  assert.deepEqual(seen, []);
  const { promise, reject } = Promise.withResolvers<never>();
  const running = tellWhenSlow(report, step, () => promise);
  t.mock.timers.tick(1000);
  assert.deepEqual(seen, ["started"]);
  reject(new Error("broken"));
  await assert.rejects(running, /broken/);
  assert.deepEqual(seen, ["started", "ended"]);
});
