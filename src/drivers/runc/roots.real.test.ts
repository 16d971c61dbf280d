import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Digest } from "../../model/canonical.ts";
import { sha256 } from "../../model/canonical.ts";
import { busyboxLayer, createBench, eventually, layerTar, putImage, type Bench } from "./fixture.suite.ts";
import type { RootMode } from "./root-mode.ts";
import type { RuncRuntime } from "./runtime.ts";
import { web } from "../../ports/runtime.suite.ts";

async function withBench(
  use: (bench: Bench, open: (mode?: RootMode["kind"]) => Promise<RuncRuntime>) => Promise<void>,
): Promise<void> {
  const bench = await createBench();
  let current: RuncRuntime | undefined;
  try {
    await use(bench, async (mode) => {
      current?.stop();
      return (current = await bench.runtime(mode === undefined ? {} : { rootMode: mode }));
    });
  } finally {
    await bench.end(current ?? (await bench.runtime()));
  }
}

const images = (bench: Bench): readonly string[] =>
  readdirSync(join(bench.places.state, "layers"))
    .filter((name) => /\.(erofs|tree)$/.test(name))
    .sort();
const rootOf = (bench: Bench): string =>
  join(
    bench.places.run,
    "roots",
    readdirSync(join(bench.places.run, "roots")).find((name) => /^[0-9a-f]{16}-[0-9a-f]{16}$/.test(name)) ??
      assert.fail("no root"),
  );

const below = layerTar((root) => {
  busyboxLayer(root);
  mkdirSync(join(root, "data/old"), { recursive: true });
  writeFileSync(join(root, "data/old/gone"), "1");
  writeFileSync(join(root, "data/hidden"), "2");
  writeFileSync(join(root, "data/stays"), "3");
  chmodSync(join(root, "data"), 0o750);
});
const above = layerTar((root) => {
  mkdirSync(join(root, "data/old"), { recursive: true });
  writeFileSync(join(root, "data/.wh.hidden"), "");
  writeFileSync(join(root, "data/old/.wh..wh..opq"), "");
  writeFileSync(join(root, "data/old/new"), "4");
  chmodSync(join(root, "data"), 0o711);
});

for (const mode of ["erofs", "unpacked"] as const) {
  test(`prepare() joins layers with their whiteouts, modes and times (${mode})`, async () => {
    await withBench(async (bench, open) => {
      const runtime = await open(mode);
      assert.equal(runtime.rootMode.kind, mode);
      await runtime.prepare(await putImage(bench.store, { layers: [below, above] }), bench.signal);
      const root = rootOf(bench);
      assert.deepEqual(readdirSync(join(root, "data")).sort(), ["old", "stays"]);
      assert.deepEqual(readdirSync(join(root, "data/old")), ["new"]);
      assert.equal(statSync(join(root, "data")).mode & 0o777, 0o711);
      for (const path of ["data", "data/old", "data/stays", "bin/busybox", "etc"])
        assert.equal(statSync(join(root, path)).mtimeMs, 1_600_000_000_000, path);
      assert.throws(() => writeFileSync(join(root, "x"), ""), { code: "EROFS" });
    });
  });
}

test("prepare() makes the same bytes of the same layer, and makes them once", async () => {
  const digests: (readonly unknown[])[] = [];
  for (let time = 0; time < 2; time += 1) {
    await withBench(async (bench, open) => {
      const runtime = await open();
      const artifact = await putImage(bench.store, { layers: [below, above] });
      await Promise.all([1, 2, 3].map(() => runtime.prepare(artifact, bench.signal)));
      const imaged = bench.events.filter(({ kind }) => kind === "layer.imaged");
      assert.equal(imaged.length, 3);
      digests.push(imaged.map((event) => JSON.stringify(event)).sort());
      runtime.stop();
      await (await open()).prepare(artifact, bench.signal);
      assert.equal(bench.events.filter(({ kind }) => kind === "layer.imaged").length, 3);
    });
  }
  assert.deepEqual(digests[0], digests[1]);
});

test("prepare() takes gzip and zstd layers, and makes the image of the plain one of them", async () => {
  await withBench(async (bench, open) => {
    const runtime = await open();
    const made = new Set<Digest>();
    for (const compress of [gzipSync, zstdCompressSync]) {
      const written = await bench.store.write(compress(below));
      const config = await bench.store.write(
        Buffer.from(JSON.stringify({ config: {}, rootfs: { type: "layers", diff_ids: [sha256(below)] } })),
      );
      const manifest = await bench.store.write(
        Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [written] })),
      );
      await runtime.prepare(manifest.digest, bench.signal);
      made.add(written.digest);
    }
    assert.equal(made.size, 2);
    assert.equal(
      bench.events.filter((event) => event.kind === "layer.imaged" && event.diffId === sha256(below)).length,
      1,
    );
  });
});

test("prepare() refuses a blob whose bytes are not what its digest says, and a layer that is not what the config says", async () => {
  await withBench(async (bench, open) => {
    const runtime = await open();
    const artifact = await putImage(bench.store, { layers: [below] });
    const blob = await bench.store.path(sha256(below));
    chmodSync(blob, 0o644);
    const file = openSync(blob, "r+");
    writeSync(file, "X", 600);
    closeSync(file);
    await assert.rejects(runtime.prepare(artifact, bench.signal), { code: "VERIFICATION_FAILED" });
    assert.deepEqual(images(bench), []);
    const written = await bench.store.write(gzipSync(above));
    const config = await bench.store.write(
      Buffer.from(JSON.stringify({ config: {}, rootfs: { type: "layers", diff_ids: [sha256("other")] } })),
    );
    const manifest = await bench.store.write(
      Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [written] })),
    );
    await assert.rejects(runtime.prepare(manifest.digest, bench.signal), { code: "VERIFICATION_FAILED" });
    assert.deepEqual(images(bench), []);
  });
});

test("a touched image is seen, named, set aside, and made anew from the verified layer", async () => {
  await withBench(async (bench, open) => {
    const runtime = await open();
    const artifact = await putImage(bench.store, { layers: [below], config: { Cmd: ["/bin/sleep", "1000"] } });
    const set = bench.set(artifact);
    await runtime.ensure(set, web(1, 1), bench.signal);
    const image = join(bench.places.state, "layers", `${sha256(below).slice(7)}.erofs`);
    const digestBefore = createHash("sha256").update(readFileSync(image)).digest("hex");
    assert.throws(() => writeFileSync(image, "x"), { code: "EPERM" });
    const [instance] = await runtime.observe();
    assert.ok(instance !== undefined);
    assert.equal((await runtime.inspect(instance.name))?.observed.imageIntact, true);
    execFileSync("chattr", ["-i", image]);
    const file = openSync(image, "r+");
    writeSync(file, "tampered", 5000);
    closeSync(file);
    assert.equal((await runtime.inspect(instance.name))?.observed.imageIntact, false);
    await assert.rejects(runtime.prepare(artifact, bench.signal), (error: Error & { code: string }) => {
      assert.equal(error.code, "VERIFICATION_FAILED");
      assert.ok(error.message.includes(image));
      return true;
    });
    assert.ok(bench.events.some((event) => event.kind === "image.touched" && event.path === image));
    assert.ok(existsSync(`${image}.touched`));
    await runtime.ensure(set, web(2, 2), bench.signal);
    assert.equal(createHash("sha256").update(readFileSync(image)).digest("hex"), digestBefore);
    const [old, fresh] = await runtime.observe();
    assert.equal((await runtime.inspect(fresh?.name ?? assert.fail()))?.observed.imageIntact, true);
    assert.equal(
      (await runtime.inspect(old?.name ?? assert.fail()))?.observed.imageIntact,
      false,
      "it still runs on the touched one",
    );
  });
});

test("an image file that the ledger does not know is not believed", async () => {
  await withBench(async (bench, open) => {
    const artifact = await putImage(bench.store, { layers: [below] });
    mkdirSync(join(bench.places.state, "layers"), { recursive: true });
    writeFileSync(join(bench.places.state, "layers", `${sha256(below).slice(7)}.erofs`), "left by a crash");
    mkdirSync(join(bench.places.state, "layers/.making-abc"));
    const runtime = await open();
    await runtime.prepare(artifact, bench.signal);
    assert.ok(existsSync(join(rootOf(bench), "bin/busybox")));
    assert.ok(!existsSync(join(bench.places.state, "layers/.making-abc")));
  });
});

test("mount points are made where the image lacks them, through its links, without changing its folders", async () => {
  await withBench(async (bench, open) => {
    const runtime = await open();
    const image = layerTar((root) => {
      busyboxLayer(root);
      mkdirSync(join(root, "run"));
      mkdirSync(join(root, "var"), { mode: 0o700 });
      symlinkSync("/run/resolve/stub.conf", join(root, "etc/resolv.conf"));
      symlinkSync("../run/cache", join(root, "var/cache"));
      chmodSync(join(root, "etc"), 0o751);
      utimesSync(join(root, "etc"), 1, 1);
    });
    const artifact = await putImage(bench.store, { layers: [image], config: { WorkingDir: "/srv/app" } });
    const set = bench.set(artifact, {
      tmpfs: ["/var/cache"],
      command: [
        "/bin/sh",
        "-c",
        "cat /etc/resolv.conf >/var/cache/copy && stat -c '%a %Y' /etc && pwd && echo done; exec sleep 1000",
      ],
    });
    await runtime.ensure(set, web(1, 1), bench.signal);
    const [instance] = await runtime.observe();
    const said = await eventually(async () => {
      const { logTail } = await runtime.facts(instance?.name ?? assert.fail());
      return logTail.length === 3 ? logTail : undefined;
    });
    assert.deepEqual(said, ["751 1600000000", "/srv/app", "done"]);
  });
});

test("release() frees the mounts of what is not kept, and prepare() brings them back", async () => {
  await withBench(async (bench, open) => {
    const runtime = await open();
    const mounts = (): number =>
      readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(bench.places.state)).length;
    const one = await putImage(bench.store, { layers: [below] });
    const both = await putImage(bench.store, { layers: [below, above] });
    await runtime.prepare(one, bench.signal);
    await runtime.prepare(both, bench.signal);
    assert.equal(mounts(), 6);
    await runtime.release([one]);
    assert.equal(mounts(), 3);
    await runtime.release([]);
    assert.equal(mounts(), 0);
    await runtime.prepare(both, bench.signal);
    assert.equal(mounts(), 4);
  });
});
