import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import { sha256, type Digest } from "../../model/canonical.ts";
import { createWorkshop, type Workshop } from "../dockerfile/build.suite.ts";
import { createBuildCache } from "../cache.ts";
import { createContentTable, openEarlierContents, rememberContents } from "./earlier-contents.ts";

const dockerfile = "FROM scratch\nWORKDIR /srv\nCOPY app app\n";
/** Files that changed less than this before they are read are read again. */
const settledMs = 130;
const text = (number: number): string => `text of file ${number}\n`.repeat(number);

async function inWorkshop(work: (workshop: Workshop) => Promise<void>): Promise<void> {
  const workshop = createWorkshop();
  try {
    for (let number = 1; number <= 40; number += 1) workshop.write(`app/part-${number % 5}/${number}.js`, text(number));
    workshop.write("app/large.bin", "x".repeat(200_000));
    workshop.write("app/empty", "");
    await sleep(settledMs);
    await workshop.build(dockerfile);
    await work(workshop);
  } finally {
    workshop.remove();
  }
}

async function assertAsAnew(workshop: Workshop, what: string): Promise<Digest> {
  const fresh = createWorkshop();
  try {
    const { digest } = await workshop.build(dockerfile);
    const { project, store } = workshop;
    assert.equal(
      digest,
      (await workshop.build(dockerfile, { cacheDir: fresh.cacheDir, store: fresh.store })).digest,
      what,
    );
    assert.ok(project !== "" && (await store.stat(digest)) !== undefined);
    return digest;
  } finally {
    fresh.remove();
  }
}

test("a layer made of an earlier one is the same bytes as one made anew, whatever has changed", async () => {
  await inWorkshop(async (workshop) => {
    const at = (path: string): string => join(workshop.project, path);
    const changes: readonly (readonly [string, () => void])[] = [
      ["other bytes", () => workshop.write("app/part-1/1.js", "other")],
      ["bytes of another file", () => workshop.write("app/part-2/2.js", text(30))],
      ["a new file, an old one gone", () => (workshop.write("app/a.js"), rmSync(at("app/part-3/3.js")))],
      ["another order", () => renameSync(at("app/part-4"), at("app/a-part"))],
      ["another mode", () => chmodSync(at("app/part-1/6.js"), 0o755)],
      ["a larger file", () => workshop.write("app/large.bin", "y".repeat(300_000))],
      ["nothing but small", () => rmSync(at("app/large.bin"))],
    ];
    for (const [what, change] of changes) {
      change();
      await sleep(settledMs);
      await assertAsAnew(workshop, what);
    }
  });
});

test("a layer that was damaged since it was made gives nothing to the next one", async () => {
  await inWorkshop(async (workshop) => {
    const layer = (await workshop.build(dockerfile)).layers.at(-1)?.digest as Digest;
    const file = await workshop.store.path(layer);
    const bytes = readFileSync(file);
    const at = bytes.indexOf("text of file 30");
    assert.ok(at > 0);
    bytes.write("TEXT", at);
    chmodSync(file, 0o644);
    writeFileSync(file, bytes);
    workshop.write("app/part-1/1.js", "other");
    await sleep(settledMs);
    await assertAsAnew(workshop, "damaged");
    // Shorter than it was.
    writeFileSync(file, bytes.subarray(0, at));
    workshop.write("app/part-1/1.js", "another");
    await sleep(settledMs);
    await assertAsAnew(workshop, "cut off");
  });
});

test("secrets are found in what changed, in what is put elsewhere, and in what a name makes of it", async () => {
  const token = `ghp_${randomBytes(18).toString("hex")}`;
  const steps: readonly (readonly [string, (workshop: Workshop) => void, string | null])[] = [
    ["a changed file", ({ write }) => write("app/part-1/1.js", `one\n${token}`), "/srv/app/part-1/1.js, line 2"],
    ["no secret any more", ({ write }) => write("app/part-1/1.js", "one"), null],
    ["one of others", ({ write }) => write("app/node_modules/x/test/key.js", token), null],
    [
      "the same as one's own",
      ({ project }) => renameSync(join(project, "app/node_modules/x/test/key.js"), join(project, "app/key.js")),
      "/srv/app/key.js, line 1",
    ],
    ["still there", ({ write }) => write("app/part-1/1.js", "two"), "/srv/app/key.js, line 1"],
    ["gone", ({ project }) => rmSync(join(project, "app/key.js")), null],
    ["a harmless name", ({ write }) => write("app/settings", "\nA=b\n"), null],
    [
      "a name that tells",
      ({ project }) => renameSync(join(project, "app/settings"), join(project, "app/.env")),
      "/srv/app/.env, line 2",
    ],
    [
      "a large file",
      ({ project, write }) => {
        rmSync(join(project, "app/.env"));
        write("app/large.bin", `${"\n".repeat(200_000)}${token}`);
      },
      "/srv/app/large.bin, line 200001",
    ],
  ];
  await inWorkshop(async (workshop) => {
    for (const [what, change, found] of steps) {
      change(workshop);
      await sleep(settledMs);
      const built = workshop.build(dockerfile);
      if (found === null) await built;
      else
        await assert.rejects(built, (error) => {
          assert.ok(error instanceof OperatorError && error.code === "SECRET_FOUND", `${what}: ${String(error)}`);
          return String(error.cause).startsWith(`${found}:`);
        });
    }
  });
});

test("`openEarlierContents()` gives contents by their names and lengths, in any order, and no others", async () => {
  const workshop = createWorkshop();
  try {
    const blobs = workshop.store;
    const cache = createBuildCache(workshop.cacheDir);
    const contents = Array.from({ length: 100 }, (_, number) => Buffer.from(text(number + 1)));
    const { digest: layer } = await blobs.write(Buffer.concat(contents));
    const table = createContentTable();
    let offset = 0;
    for (const content of contents) {
      table.add(nameOf(content), content.byteLength, offset);
      offset += content.byteLength;
    }
    assert.equal(await openEarlierContents(blobs, cache, "step"), undefined);
    await rememberContents(cache, "step", { layer, isClean: true, table: table.end() ?? "" });
    const earlier = await openEarlierContents(blobs, cache, "step");
    assert.ok(earlier !== undefined && earlier.isClean);
    const target = Buffer.alloc(10_000);
    for (const content of contents.toReversed()) {
      assert.ok(earlier.has(nameOf(content)));
      assert.equal(earlier.fill(nameOf(content), content.byteLength, target, 7), true);
      assert.deepEqual(target.subarray(7, 7 + content.byteLength), content);
      assert.equal(earlier.fill(nameOf(content), content.byteLength - 1, target, 0), false);
    }
    assert.equal(earlier.has(nameOf(Buffer.from("never"))), false);
    earlier.close();
    await rememberContents(cache, "step", { layer: sha256("gone"), isClean: true, table: table.end() ?? "" });
    assert.equal(await openEarlierContents(blobs, cache, "step"), undefined);
  } finally {
    workshop.remove();
  }
});

function nameOf(content: Buffer): string {
  return Buffer.from(sha256(content).slice(7), "hex").toString("latin1");
}
