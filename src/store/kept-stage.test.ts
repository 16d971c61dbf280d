import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { digestHex, type Digest } from "../model/canonical.ts";
import { isDamagedBlob } from "./kept-stage.ts";
import { createLocalStore } from "./local.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-stage-"));
  folders.push(dir);
  return dir;
}

const bytes = Buffer.from("bytes of a layer");
const keptAt = (dir: string, digest: Digest): string => join(dir, "blobs", "sha256", digestHex(digest));

test("`stage()` with a folder keeps blobs for the next, and the store gets only what is published", async () => {
  const store = createLocalStore(newFolder());
  const dir = newFolder();
  const first = await store.stage(dir);
  const { digest } = await first.write(bytes);
  const other = await first.write(Buffer.from("of a step between"));
  await first.discard();
  assert.deepEqual(await store.blobs(), []);
  const second = await store.stage(dir);
  assert.deepEqual(await second.read(digest), bytes);
  await second.publish([digest, digest]);
  await second.publish([digest]);
  assert.deepEqual(
    (await store.blobs()).map((blob) => blob.digest),
    [digest],
  );
  assert.equal(statSync(await store.path(digest)).mode & 0o777, 0o444);
  // Whoever has the path of the cache's file can still read it.
  assert.deepEqual(readdirSync(join(dir, "blobs/sha256")).sort(), [digest, other.digest].map(digestHex).sort());
  assert.deepEqual(readdirSync(join(dir, "tmp")), []);
});

test("`stage()` with a folder hashes what another process wrote before it is used, and removes what is damaged", async () => {
  const store = createLocalStore(newFolder());
  for (const use of ["publish", "path"] as const) {
    const dir = newFolder();
    const { digest } = await (await store.stage(dir)).write(bytes);
    chmodSync(keptAt(dir, digest), 0o644);
    writeFileSync(keptAt(dir, digest), "BYTES of a layer");
    const stage = await store.stage(dir);
    assert.equal(await stage.stat(digest), bytes.byteLength);
    await assert.rejects(
      use === "publish" ? stage.publish([digest]) : stage.path(digest),
      (error) => error instanceof OperatorError && error.code === "VERIFICATION_FAILED" && isDamagedBlob(error),
    );
    assert.equal(await stage.stat(digest), undefined);
    assert.equal(await store.stat(digest), undefined);
    await stage.write(bytes);
    await stage.publish([digest]);
    assert.deepEqual(await store.read(digest), bytes);
    rmSync(await store.path(digest));
  }
});

test("`stage()` with a folder notes when a blob was last used", async () => {
  const store = createLocalStore(newFolder());
  const dir = newFolder();
  const stage = await store.stage(dir);
  const { digest } = await stage.write(bytes);
  utimesSync(keptAt(dir, digest), 1000, 1000);
  await stage.stat(digest);
  assert.ok(statSync(keptAt(dir, digest)).mtimeMs > 1_000_000_000_000);
});

test("`sync()` of a stage with a folder takes what is written anew afterwards for what it is", async () => {
  const store = createLocalStore(newFolder());
  const dir = newFolder();
  const stage = await store.stage(dir);
  const { digest } = await stage.write(bytes);
  stage.sync([digest, digest]);
  rmSync(keptAt(dir, digest));
  // It is gone: what was on its way to the disk is no word for what is there now.
  await stage.write(bytes);
  stage.sync([digest]);
  await stage.publish([digest]);
  assert.deepEqual(await store.read(digest), bytes);
});
