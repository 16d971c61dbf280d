import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { digestHex, sha256 } from "../model/canonical.ts";
import { createLocalStore } from "../store/local.ts";
import { newClient, newFolder, newServer, pullOptions, referenceTo, signal, withCode } from "./fixture.suite.ts";
import { makeImage, publish, type TestRegistry } from "./server.suite.ts";

const image = makeImage([1000, 300_000, 20, 5000, 800, 64]);
const big = image.layers[1] as Buffer;
const bigPath = `/v2/team/shop/blobs/${sha256(big)}`;

async function newShop(): Promise<TestRegistry> {
  const server = await newServer();
  publish(server, "team/shop", "1", image);
  return server;
}

test("`pull()` brings config and layers, then the manifest; what is there is not fetched again", async () => {
  const server = await newShop();
  const store = createLocalStore(newFolder());
  const client = newClient();
  const reference = referenceTo(server, "team/shop:1");
  const { index, platforms } = await client.resolve(reference, signal);
  assert.equal(index, null);
  assert.deepEqual(platforms, { "linux/amd64": image.digest });
  const checked: number[] = [];
  const moved = new Map<string, number>();
  const options = {
    ...pullOptions,
    progress: ({ digest, bytes, of }: { digest: string; bytes: number; of: number }) => moved.set(digest, bytes / of),
    checkLayer: async (layer: { digest: string }, position: number, file: string) => {
      assert.equal(sha256(readFileSync(file)), layer.digest);
      assert.equal(layer.digest, sha256(image.layers[position] as Buffer));
      checked.push(position);
    },
  };
  await client.pull(reference, image.digest, store, options);
  assert.deepEqual(
    checked.toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5],
  );
  assert.deepEqual([...moved.values()], [1, 1, 1, 1, 1, 1]);
  for (const bytes of [image.manifest, image.config, ...image.layers])
    assert.deepEqual(await store.read(sha256(bytes)), bytes);
  server.log.length = 0;
  await client.pull(reference, image.digest, store, options);
  assert.deepEqual(server.log, []);
});

test("`pull()` goes on where a connection broke, without fetching anything twice", async () => {
  const server = await newShop();
  const ranges: (string | undefined)[] = [];
  server.behave = (request, response, path) => {
    if (path !== bigPath) return false;
    ranges.push(request.headers.range);
    const from = Number(/[0-9]+/.exec(request.headers.range ?? "0")?.[0]);
    const rest = big.subarray(from);
    const range = `bytes ${from}-${big.byteLength - 1}/${big.byteLength}`;
    response.writeHead(from === 0 ? 200 : 206, { "content-length": rest.byteLength, "content-range": range });
    // More than five breaks: each gets further.
    const piece = rest.subarray(0, 30_000);
    if (piece.byteLength === rest.byteLength) response.end(piece);
    else response.write(piece, () => setTimeout(() => response.destroy(), 20));
    return true;
  };
  const store = createLocalStore(newFolder());
  await newClient().pull(referenceTo(server, "team/shop:1"), image.digest, store, pullOptions);
  assert.deepEqual(await store.read(sha256(big)), big);
  assert.equal(ranges.length, Math.ceil(big.byteLength / 30_000));
  assert.deepEqual(ranges.slice(0, 3), [undefined, "bytes=30000-", "bytes=60000-"]);
});

/** Pulls until the large layer has half arrived, then stops as `how` says. */
async function interruptedPull(server: TestRegistry, folder: string): Promise<void> {
  const stop = new AbortController();
  server.behave = (_, response, path) => {
    if (path !== bigPath) return false;
    response.writeHead(200, { "content-length": big.byteLength });
    response.write(big.subarray(0, 150_000));
    return true;
  };
  const progress = ({ digest, bytes }: { digest: string; bytes: number }): void => {
    if (digest === sha256(big) && bytes === 150_000) stop.abort(new Error("stopped"));
  };
  await assert.rejects(
    newClient({ folder }).pull(referenceTo(server, "team/shop:1"), image.digest, createLocalStore(newFolder()), {
      ...pullOptions,
      signal: stop.signal,
      progress,
    }),
  );
  server.behave = () => false;
  server.log.length = 0;
  server.seen.length = 0;
}

test("`pull()` goes on with what an earlier process left, stopped or killed, and leaves no file behind", async () => {
  for (const how of ["stopped", "killed"]) {
    const server = await newShop();
    const folder = newFolder();
    await interruptedPull(server, folder);
    const left = join(folder, digestHex(sha256(big)));
    assert.equal(statSync(left).size, 150_000);
    if (how === "killed") renameSync(left, `${left}.4194304999-1-0123abcd`);
    const store = createLocalStore(newFolder());
    await newClient({ folder }).pull(referenceTo(server, "team/shop:1"), image.digest, store, pullOptions);
    const at = server.log.indexOf(`GET ${bigPath}`);
    assert.equal(server.seen[at]?.range, "bytes=150000-", how);
    assert.deepEqual(await store.read(sha256(big)), big);
    assert.deepEqual(readdirSync(folder), []);
  }
});

test("`pull()` leaves what another process is at alone, and what is old and abandoned goes", async () => {
  const server = await newShop();
  const folder = newFolder();
  const start = readFileSync(`/proc/${process.pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")[19];
  const taken = join(folder, `${digestHex(sha256(big))}.${process.pid}-${start}-0123abcd`);
  writeFileSync(taken, "another's");
  const old = join(folder, digestHex(sha256("old")));
  writeFileSync(old, "left");
  const { utimesSync } = await import("node:fs");
  utimesSync(old, 1, 1);
  await newClient({ folder }).pull(
    referenceTo(server, "team/shop:1"),
    image.digest,
    createLocalStore(newFolder()),
    pullOptions,
  );
  assert.equal(readFileSync(taken, "utf8"), "another's");
  assert.equal(existsSync(old), false);
});

test("`pull()` fetches anew what was left damaged, too long, or cannot be gone on with", async () => {
  for (const [left, mayGoOn] of [
    [Buffer.alloc(150_000), true],
    [Buffer.alloc(big.byteLength), true],
    [Buffer.alloc(big.byteLength + 1), true],
    [big.subarray(0, 150_000), false],
  ] as const) {
    const server = await newShop();
    const folder = newFolder();
    writeFileSync(join(folder, digestHex(sha256(big))), left);
    if (!mayGoOn)
      server.behave = (request, _response, path) => {
        if (path === bigPath) delete request.headers.range;
        return false;
      };
    const store = createLocalStore(newFolder());
    await newClient({ folder }).pull(referenceTo(server, "team/shop:1"), image.digest, store, pullOptions);
    assert.deepEqual(await store.read(sha256(big)), big);
  }
});

test("`pull()` ends at the first layer that is refused, and no manifest shows the image", async () => {
  const server = await newShop();
  const store = createLocalStore(newFolder());
  await assert.rejects(
    newClient().pull(referenceTo(server, "team/shop:1"), image.digest, store, {
      ...pullOptions,
      checkLayer: async (_layer, position) => {
        if (position === 2) throw new Error("refused");
      },
    }),
    /refused/,
  );
  assert.equal(await store.stat(image.digest), undefined);
});

test("`resolve()` reads an index with its platforms and leaves attestations out", async () => {
  const server = await newShop();
  const arm = makeImage([10], "arm64");
  publish(server, "team/shop", "arm", arm);
  const entry = (digest: string, platform: object): object => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest,
    size: 1,
    platform,
  });
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      manifests: [
        entry(image.digest, { os: "linux", architecture: "amd64" }),
        entry(arm.digest, { os: "linux", architecture: "arm64", variant: "v8" }),
        entry(sha256("v7"), { os: "linux", architecture: "arm", variant: "v7" }),
        entry(sha256("attestation"), { os: "unknown", architecture: "unknown" }),
      ],
    }),
  );
  server.manifests.set("team/shop multi", index);
  const resolved = await newClient().resolve(referenceTo(server, "team/shop:multi"), signal);
  assert.equal(resolved.index?.digest, sha256(index));
  assert.deepEqual(resolved.platforms, {
    "linux/amd64": image.digest,
    "linux/arm64": arm.digest,
    "linux/arm/v7": sha256("v7"),
  });
  await assert.rejects(newClient().resolve(referenceTo(server, "team/shop:none"), signal), withCode("NOT_FOUND"));
});
