import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSite, launcher, type Site } from "../support/bronze.ts";

interface Built {
  readonly layers: readonly { readonly digest: string }[];
  readonly digest: string;
  readonly cached: boolean;
}

/** Files enough that a build takes a while, in two layers, and a program that is run. */
function fillProject(site: Site): void {
  site.write({
    Dockerfile:
      'FROM scratch\nCOPY big /big\nCOPY . /app/\nRUN ["/app/root/bin/busybox", "touch", "/made"]\nCMD ["/app/root/bin/busybox"]\n',
    big: "0123456789abcdef".repeat(1 << 18),
    ...Object.fromEntries(Array.from({ length: 800 }, (_, i) => [`files/${i % 40}/file${i}`, `content ${i}\n`])),
  });
}

const cacheOf = (site: Site): string => join(site.state, "cache");

function namesIn(...parts: readonly string[]): readonly string[] {
  const folder = join(...parts);
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Everything that has a name is whole, and nothing else is there. @param rooms whose blobs are looked at */
function assertWhole(site: Site, rooms: readonly string[] = ["cache", "store"]): void {
  const cache = cacheOf(site);
  assert.deepEqual(namesIn(cache, "tmp"), [], "nothing half-made in the cache");
  assert.deepEqual(namesIn(cache, "builds"), [], "no build is under way");
  assert.deepEqual(namesIn(cache, "steps"), [], "no step is under way");
  assert.deepEqual(namesIn(site.state, "store/tmp"), [], "nothing half-made in the store");
  for (const blobs of rooms.map((room) => join(site.state, room, "blobs/sha256"))) {
    for (const name of namesIn(blobs)) {
      const sum = createHash("sha256")
        .update(readFileSync(join(blobs, name)))
        .digest("hex");
      assert.equal(sum, name, `${blobs}/${name}`);
    }
  }
  for (const room of namesIn(cache, "records")) {
    for (const name of namesIn(cache, "records", room))
      JSON.parse(readFileSync(join(cache, "records", room, name), "utf8"));
  }
}

function empty(site: Site): void {
  for (const folder of ["cache", "store"]) rmSync(join(site.state, folder), { recursive: true, force: true });
}

test("`bronze build`, four at once from cold: the same artifact, everything whole", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  fillProject(site);
  const built = await Promise.all([1, 2, 3, 4].map(() => site.json<Built>(["build"])));
  assert.equal(new Set(built.map(({ digest }) => digest)).size, 1);
  assertWhole(site);
  const again = await site.json<Built>(["build"]);
  assert.deepEqual([again.digest, again.cached], [built[0]?.digest, true]);
});

test(
  "`bronze build` killed at 20 moments: the next build gives the same artifact, and nothing half-made is left",
  { timeout: 300_000 },
  async (t) => {
    const site = createSite(t);
    fillProject(site);
    const moments = createMoments(20_261_121);
    await site.json<Built>(["build"]);
    empty(site);
    const began = performance.now();
    const { digest } = await site.json<Built>(["build"]);
    const wholeMs = performance.now() - began;
    let killed = 0;
    for (let i = 0; i < 20; i++) {
      // Every other time with what the builds before it left.
      if (i % 2 === 0) empty(site);
      else writeFileSync(join(site.project, "files", "changed"), String(i));
      const child = spawn(launcher, ["build", "--state", site.state], { cwd: site.project, stdio: "ignore" });
      const exited = once(child, "exit");
      await Promise.race([sleep(moments() * wholeMs), exited]);
      if (child.kill("SIGKILL")) killed += 1;
      await exited;
      rmSync(join(site.project, "files", "changed"), { force: true });
      const next = await site.json<Built>(["build"]);
      assert.equal(next.digest, digest, `after kill ${i}`);
      assertWhole(site);
    }
    assert.ok(killed >= 10, `only ${killed} of 20 were killed before they ended`);
    t.diagnostic(`${killed} of 20 builds of ${Math.round(wholeMs)} ms were killed before they ended`);
  },
);

test(
  "`bronze build` keeps the cache within its bounds, and finds nothing but time lost",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    fillProject(site);
    const bounds = { env: { BRONZE_CACHE_BYTES: "3Mi" } };
    const first = await site.json<Built>(["build"]);
    // Not the store's any more: all of it counts.
    rmSync(join(site.state, "store"), { recursive: true });
    writeFileSync(join(site.project, "more"), "more");
    const other = await site.bronze(["build"], bounds);
    assert.equal(other.status, 0, other.stderr);
    const left = sizeOf(cacheOf(site));
    assert.ok(left < 3 * 2 ** 20, `${left} bytes`);
    rmSync(join(site.project, "more"));
    const again = await site.bronze(["build", "--json"], bounds);
    assert.equal((JSON.parse(again.stdout) as Built).digest, first.digest);
    assertWhole(site);
    const wrong = await site.bronze(["build"], { env: { BRONZE_CACHE_BYTES: "much" } });
    assert.equal(wrong.status, 2);
  },
);

test(
  "`bronze build` mends a damaged cache by itself, and does every step again with --no-cache",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    fillProject(site);
    const first = await site.json<Built>(["build"]);
    rmSync(join(site.state, "store"), { recursive: true });
    damageBlobs(site);
    const mended = await site.bronze(["build", "--json"]);
    assert.equal(mended.status, 0, mended.stderr);
    assert.equal((JSON.parse(mended.stdout) as Built).digest, first.digest);
    assert.match(mended.stderr, /in the build cache was damaged: it is made anew/);
    assertWhole(site);
    // Its layer: what is small and the same is not written again.
    const blob = join(cacheOf(site), "blobs/sha256", first.layers[0]?.digest.slice(7) ?? "");
    const before = statSync(blob).ino;
    const fresh = await site.json<Built>(["build", "--no-cache"]);
    assert.equal(fresh.digest, first.digest);
    assert.notEqual(statSync(blob).ino, before, "the layer was made again");
  },
);

test(
  "`bronze build` finds its steps again from another checkout with other times and modes",
  { timeout: 60_000 },
  async (t) => {
    const site = createSite(t);
    fillProject(site);
    const first = await site.json<Built>(["build"]);
    const clone = join(site.project, "..", "clone");
    cpSync(site.project, clone, { recursive: true });
    utimesSync(join(clone, "big"), 1_000_000_000, 1_000_000_000);
    const second = await site.bronze(["build", "--json"], { cwd: clone });
    assert.equal(second.status, 0, second.stderr);
    const { digest, cached } = JSON.parse(second.stdout) as Built;
    assert.deepEqual([digest, cached], [first.digest, true]);
  },
);

test(
  "`bronze build` takes nothing damaged out of a stage that an earlier build made",
  { timeout: 60_000 },
  async (t) => {
    const site = createSite(t);
    fillProject(site);
    const copy = (to: string): string =>
      `FROM scratch AS one\nCOPY big /big\nFROM scratch\nCOPY --from=one /big ${to}\n`;
    site.write({ Dockerfile: copy("/there") });
    const wanted = await site.json<Built>(["build"]);
    empty(site);
    site.write({ Dockerfile: copy("/first") });
    await site.json<Built>(["build"]);
    // The store has what the artifact was made from as well, for who makes it again.
    rmSync(join(site.state, "store"), { recursive: true });
    damageBlobs(site);
    site.write({ Dockerfile: copy("/there") });
    const built = await site.bronze(["build", "--json"]);
    assert.equal(built.status, 0, built.stderr);
    assert.match(built.stderr, /in the build cache was damaged: it is made anew/);
    assert.equal((JSON.parse(built.stdout) as Built).digest, wanted.digest);
    // What only the first build needed is damaged still.
    assertWhole(site, ["store"]);
  },
);

/**
 * Changes bytes of every blob in the cache but signed statements, which nothing looks for again: signatures are made anew.
 * What the store has of them stays.
 */
function damageBlobs(site: Site): void {
  for (const name of namesIn(cacheOf(site), "blobs/sha256")) {
    const path = join(cacheOf(site), "blobs/sha256", name);
    const bytes = readFileSync(path);
    if (/^\{"(dsseEnvelope|annotations":\{"dev\.sigstore)/.test(bytes.toString("latin1", 0, 60))) continue;
    rmSync(path);
    writeFileSync(path, bytes.length < 700 ? bytes.fill(0x78) : bytes.fill(0x78, 600, 700));
  }
}

/** Numbers from 0 to 1, always the same ones for a seed. @see George Marsaglia, "Xorshift RNGs" */
function createMoments(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).reduce((sum, name) => {
    const stats = statSync(join(folder, name));
    return sum + (stats.isFile() && stats.nlink === 1 ? stats.size : 0);
  }, 0);
}
