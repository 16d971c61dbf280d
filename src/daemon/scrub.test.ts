import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { createSystemClock } from "../drivers/system/clock.ts";
import type { EventData } from "../ledger/event.ts";
import { sha256, type Digest } from "../model/canonical.ts";
import { createLocalStore } from "../store/local.ts";
import { hashPaced } from "./paced-hash.ts";
import { startScrub } from "./scrub.ts";

test("startScrub() finds the damaged blob and the damaged image, takes both away, and records the round", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bronze-scrub-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const store = createLocalStore(join(dir, "store"));
  const whole = await store.write(Buffer.alloc(300_000, "a"));
  const damaged = await store.write(Buffer.alloc(300_000, "b"));
  const path = await store.path(damaged.digest);
  const bytes = readFileSync(path);
  bytes[150_000] = 0;
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
  const image = join(dir, "layer.erofs");
  writeFileSync(image, "what the image holds now");
  const diffId = sha256("a layer");
  const audits: string[] = [];
  const distrusted: Digest[] = [];
  const recorded: EventData[] = [];
  const done = Promise.withResolvers<void>();
  const stop = startScrub({
    store,
    images: {
      stored: () => [{ diffId, path: image, recorded: sha256("what it held when it was made") }],
      distrust: async (one) => void distrusted.push(one),
    },
    audit: async () => void audits.push("ledger"),
    record(data) {
      recorded.push(data);
      if (data.kind === "storage.checked") done.resolve();
    },
    clock: createSystemClock(0),
    onError: done.reject,
    pace: { bytesPerSecond: Number.POSITIVE_INFINITY, firstAfterMs: 1 },
  });
  await done.promise;
  await stop();
  assert.deepEqual(
    recorded.map((data) => [data.kind, "digest" in data ? data.digest : null]),
    [
      ["blob.damaged", damaged.digest],
      ["storage.checked", null],
    ],
  );
  assert.deepEqual(recorded.at(-1), { kind: "storage.checked", files: 3, bytes: 600_024, damaged: 2 });
  assert.deepEqual([audits, distrusted], [["ledger"], [diffId]]);
  assert.equal(await store.stat(damaged.digest), undefined);
  assert.ok(existsSync(join(dir, "store/damaged", damaged.digest.slice(7))));
  assert.equal(await store.stat(whole.digest), 300_000);
  assert.deepEqual(await store.leftovers(), [], "kept while the store lacks it");
  await store.write(Buffer.alloc(300_000, "b"), { digest: damaged.digest });
  assert.equal((await store.leftovers()).length, 1, "of no use once the store has it whole again");
});

test("hashPaced() reads no faster than asked for, and ends when it is told to", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bronze-pace-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "file");
  const bytes = Buffer.alloc(2 ** 20, "x");
  writeFileSync(path, bytes);
  const began = performance.now();
  assert.deepEqual(await hashPaced(path, 8 * 2 ** 20, new AbortController().signal), {
    digest: sha256(bytes),
    bytes: bytes.length,
  });
  // Four pauses of 31 ms; timers end no more than 1 ms early.
  assert.ok(performance.now() - began >= 120);
  const stop = new AbortController();
  stop.abort();
  await assert.rejects(hashPaced(path, 1, stop.signal));
});
