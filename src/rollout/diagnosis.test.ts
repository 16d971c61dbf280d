import assert from "node:assert/strict";
import test from "node:test";
import { defaultRunSettings } from "../model/content.ts";
import type { InstanceFacts } from "../model/observation.ts";
import { diagnose } from "./diagnosis.ts";
import { startingHealth, type Health } from "./health.ts";
import { instance } from "./testing.ts";

const nothing: InstanceFacts = { exit: null, listening: [], logTail: [] };

function summary(facts: Partial<InstanceFacts>, health: Partial<Health> = {}): { text: string; hint: string } {
  const failure = diagnose({
    app: "shop",
    environment: "production",
    release: 12,
    serving: "all traffic is still on v11",
    ready: 0,
    wanted: 2,
    afterMs: 30_000,
    reason: facts.exit === undefined ? "unhealthy" : "exited",
    crashes: null,
    instance: {
      name: instance(12, 1).name,
      facts: { ...nothing, ...facts },
      health: { ...startingHealth, ...health },
      settings: defaultRunSettings,
    },
  });
  assert.match(failure.hint, /all traffic is still on v11/);
  return { text: failure.summary, hint: failure.hint };
}

test("diagnose() tells an exit at once, with its status", () => {
  assert.match(
    summary({ exit: { code: 3, outOfMemory: false, atMs: 1 } }).text,
    /exited with status 3 before it was healthy/,
  );
});

test("diagnose() tells an app that never listens", () => {
  assert.match(summary({}).text, /never listened on port 8080/);
  assert.match(summary({ listening: [{ address: "0.0.0.0", port: 3000 }] }).text, /it listens on 3000/);
});

test("diagnose() tells an app that listens on loopback only", () => {
  assert.match(
    summary({ listening: [{ address: "127.0.0.1", port: 8080 }] }).text,
    /listens on 127\.0\.0\.1:8080 only/,
  );
});

test("diagnose() tells an app that answers errors", () => {
  assert.match(
    summary({}, { last: { kind: "answered", status: 503, latencyMs: 1, body: "no" } }).text,
    /answered 503 to GET \//,
  );
});

test("diagnose() tells a write to the read-only root, its path and the way out", () => {
  const logTail = ["Error: EROFS: read-only file system, open '/var/cache/shop/x.db'"];
  const found = summary({ exit: { code: 1, outOfMemory: false, atMs: 1 }, logTail });
  assert.match(found.text, /\/var\/cache\/shop\/x\.db/);
  assert.match(found.hint, /add \/var\/cache\/shop to `run\.tmpfs`/);
  assert.match(
    summary({
      exit: { code: 1, outOfMemory: false, atMs: 1 },
      logTail: ["sh: can't create /data/a: Read-only file system"],
    }).hint,
    /add \/data to/,
  );
});

test("diagnose() tells an instance that ran out of memory", () => {
  assert.match(summary({ exit: { code: 137, outOfMemory: true, atMs: 1 } }).text, /ran out of memory/);
});

test("diagnose() points to the last lines only where there are any", () => {
  const exit = { code: 3, outOfMemory: false, atMs: 1 };
  assert.match(summary({ exit, logTail: ["", "Error: boom"] }).hint, /last lines, above/);
  assert.match(summary({ exit, logTail: [""] }).hint, /it wrote nothing/);
});
