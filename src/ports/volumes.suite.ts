import assert from "node:assert/strict";
import test from "node:test";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { formatVolume, mostSnapshots, type VolumeId } from "../model/volumes.ts";
import type { VolumeStore } from "./volumes.ts";

/** A disk to try volumes on. */
export interface VolumeBench {
  readonly store: VolumeStore;
  /** Writes a file of a volume, as an app would. */
  write(id: VolumeId, path: string, text: string): Promise<void>;
  /** A file's text, in a volume or in a snapshot of it; undefined where there is none. */
  read(id: VolumeId, path: string, snapshot?: string): Promise<string | undefined>;
  /** What the next daemon sees. */
  reopen(): VolumeStore;
  end(): Promise<void>;
}

const signal = new AbortController().signal;
const id = (name: string, app = "shop"): VolumeId => ({
  app: app as AppName,
  environment: "production" as EnvironmentName,
  name,
});
export const volumeOwner = { uid: 1000, gid: 1001, mode: 0o750 };

/** What every store of volumes does. @param open gives an empty one @param options.bounds false: as many as may be are too many to make */
export function volumesSuite(
  name: string,
  open: () => Promise<VolumeBench>,
  options: { readonly bounds: boolean } = { bounds: true },
): void {
  function check(title: string, body: (bench: VolumeBench) => Promise<void>): void {
    test(`${name}: ${title}`, async () => {
      const bench = await open();
      try {
        await body(bench);
      } finally {
        await bench.end();
      }
    });
  }

  check("ensure() makes a volume once, list() shows all in order, remove() takes one away", async (bench) => {
    const { store, write, read } = bench;
    assert.deepEqual(await store.list(), []);
    const data = await store.ensure(id("data"), volumeOwner);
    await write(data.id, "a", "1");
    const pair = await Promise.all([store.ensure(id("data"), volumeOwner), store.ensure(id("cache"), volumeOwner)]);
    assert.deepEqual(pair[0], data);
    await store.ensure(id("data", "db"), volumeOwner);
    assert.deepEqual(
      (await store.list()).map((volume) => formatVolume(volume.id)),
      ["db/production/data", "shop/production/cache", "shop/production/data"],
    );
    assert.equal(await read(data.id, "a"), "1");
    await store.remove(id("cache"), null);
    await store.remove(id("never"), null);
    assert.deepEqual(
      (await bench.reopen().list()).map((volume) => formatVolume(volume.id)),
      ["db/production/data", "shop/production/data"],
    );
  });

  check(
    "snapshot() keeps what was there, whatever is written after; the same name is the same snapshot",
    async (bench) => {
      const { store, write, read } = bench;
      const { id: data } = await store.ensure(id("data"), volumeOwner);
      await write(data, "a", "1");
      const first = await store.snapshot(data, "before-v2", 2, { signal });
      await write(data, "a", "2");
      await write(data, "b", "new");
      assert.deepEqual(await store.snapshot(data, "before-v2", 2, { signal }), first);
      await store.snapshot(data, "by-hand", null, { signal });
      assert.deepEqual(
        [await read(data, "a", "before-v2"), await read(data, "b", "before-v2"), await read(data, "a", "by-hand")],
        ["1", undefined, "2"],
      );
      const [volume] = await bench.reopen().list();
      assert.deepEqual(
        volume?.snapshots.map((snapshot) => [snapshot.name, snapshot.release]),
        [
          ["before-v2", 2],
          ["by-hand", null],
        ],
      );
      await store.remove(data, "before-v2");
      await store.remove(data, "before-v2");
      assert.deepEqual(
        (await store.list())[0]?.snapshots.map((snapshot) => snapshot.name),
        ["by-hand"],
      );
    },
  );

  check("restore() makes a new volume that can be written to, and never writes over one", async (bench) => {
    const { store, write, read } = bench;
    const { id: data } = await store.ensure(id("data"), volumeOwner);
    await write(data, "a", "1");
    await store.snapshot(data, "s", null, { signal });
    await write(data, "a", "2");
    await assert.rejects(store.restore(data, "s", "data", { signal }), { code: "ARGUMENT_INVALID" });
    await assert.rejects(store.restore(data, "t", "again", { signal }), { code: "NOT_FOUND" });
    await assert.rejects(store.restore(id("none"), "s", "again", { signal }), { code: "NOT_FOUND" });
    const restored = await store.restore(data, "s", "again", { signal });
    assert.deepEqual(restored.from, { name: "data", snapshot: "s" });
    assert.deepEqual(restored.snapshots, []);
    await write(restored.id, "a", "3");
    assert.deepEqual(
      [await read(data, "a"), await read(data, "a", "s"), await read(restored.id, "a")],
      ["2", "1", "3"],
    );
    await store.remove(data, null);
    assert.equal(await read(restored.id, "a"), "3");
  });

  check("snapshot() refuses what is not there, what is aborted, and more than the bound", async (bench) => {
    const { store } = bench;
    await assert.rejects(store.snapshot(id("data"), "s", null, { signal }), { code: "NOT_FOUND" });
    const { id: data } = await store.ensure(id("data"), volumeOwner);
    await assert.rejects(store.snapshot(data, "../s", null, { signal }), { code: "ARGUMENT_INVALID" });
    await assert.rejects(store.snapshot(data, "s", null, { signal: AbortSignal.abort() }));
    assert.deepEqual((await store.list())[0]?.snapshots, []);
    if (!options.bounds) return;
    for (let i = 0; i < mostSnapshots; i += 1) await store.snapshot(data, `s${i}`, null, { signal });
    await assert.rejects(store.snapshot(data, "more", null, { signal }), { code: "ARGUMENT_INVALID" });
  });
}
