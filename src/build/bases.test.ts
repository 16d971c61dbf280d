import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Registry } from "../ports/registry.ts";
import { newClient, newFolder, newServer, withCode } from "../registry/fixture.suite.ts";
import { imageOf, makeImage, publish, type TestImage, type TestRegistry } from "../registry/server.suite.ts";
import { sha256, type Digest } from "../model/canonical.ts";
import type { Store } from "../ports/store.ts";
import { createLocalStore } from "../store/local.ts";
import { hardlink, member, symlink, tar } from "./exchange/image-fixture.suite.ts";
import { createBases, noRegistry } from "./bases.ts";
import { buildArtifact } from "./build.ts";
import { lockProject } from "./lock.ts";
import { changeLock, digestOfUsed, readLock } from "./lock-file.ts";
import { imageName } from "./named-image.ts";
import type { PinChange } from "./pins.ts";

const amd64 = "linux/amd64";
const old = makeImage([100, 200]);
const young = makeImage([101, 200]);
const arm = makeImage([50], "arm64");

interface Place {
  readonly projectDir: string;
  readonly store: Store;
  readonly notes: string[];
  resolve(name: string, platform?: string): Promise<Digest>;
  used(): Digest | undefined;
  digests(): Promise<readonly Digest[]>;
  lock(update: boolean, only?: readonly string[]): Promise<readonly PinChange[]>;
}

/** A project, a store and what FROM would find with them. */
function newPlace(registry: Registry = newClient(), projectDir = newFolder()): Place {
  const store = createLocalStore(newFolder());
  const notes: string[] = [];
  const { signal } = new AbortController();
  const options = {
    projectDir,
    store,
    registry,
    signal,
    report: (event: { kind: string; text?: string }) => void (event.kind === "note" && notes.push(event.text ?? "")),
  };
  let bases = createBases(options);
  return {
    projectDir,
    store,
    notes,
    resolve: (name, platform = amd64) => (bases = createBases(options)).resolve(name, platform),
    digests: () => bases.digests(),
    used: () => {
      const used = bases.used();
      return used === undefined ? undefined : digestOfUsed({ bases: used });
    },
    lock: (update, only = []) =>
      lockProject({ kind: "dockerfile", path: "Dockerfile" }, { ...options, cacheDir: newFolder(), update, only }),
  };
}

async function newHub(): Promise<TestRegistry> {
  const server = await newServer();
  publish(server, "base", "1", old);
  return server;
}

async function put(store: Store, image: TestImage, name: string): Promise<void> {
  for (const bytes of [...image.layers, image.config, image.manifest]) await store.write(bytes);
  await store.tag(name, image.digest);
}

test("`resolve()` pins a name at its first use, says so, and stays with the pin on every machine", async () => {
  const server = await newHub();
  const first = newPlace();
  const name = `${server.host}/base:1`;
  assert.equal(await first.resolve(name), old.digest);
  assert.deepEqual(first.notes, [`pinned ${name} ${old.digest} in bronze.lock`]);
  const lock = readFileSync(join(first.projectDir, "bronze.lock"), "utf8");
  publish(server, "base", "1", young);
  assert.equal(await first.resolve(name), old.digest);
  const elsewhere = newPlace(newClient(), first.projectDir);
  await put(elsewhere.store, young, name);
  assert.equal(await elsewhere.resolve(name), old.digest);
  assert.deepEqual(elsewhere.notes, []);
  assert.equal(elsewhere.used(), first.used());
  assert.equal(readFileSync(join(first.projectDir, "bronze.lock"), "utf8"), lock);
  server.log.length = 0;
  assert.equal(await first.resolve(name), old.digest);
  assert.deepEqual(server.log, []);
});

test("`resolve()` takes the store's tag where nothing is pinned, but not one of another platform", async () => {
  const server = await newHub();
  const name = `${server.host}/base:1`;
  const place = newPlace();
  await put(place.store, young, name);
  assert.equal(await place.resolve(name), young.digest);
  const other = newPlace();
  await put(other.store, arm, name);
  assert.equal(await other.resolve(name), old.digest);
  const short = newPlace(noRegistry);
  await put(short.store, old, "base:latest");
  for (const written of ["base", "base:latest", "docker.io/library/base", "index.docker.io/library/base:latest"])
    assert.equal(await short.resolve(written), old.digest);
  assert.deepEqual(Object.keys((await readLock(short.projectDir)).bases), ["docker.io/library/base:latest"]);
});

test("`resolve()` pins an index with all its platforms, and takes the one that is asked for", async () => {
  const server = await newHub();
  publish(server, "base", "arm", arm);
  const entry = (image: TestImage, architecture: string): object => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: image.digest,
    size: image.manifest.byteLength,
    platform: { os: "linux", architecture },
  });
  const index = Buffer.from(
    JSON.stringify({ schemaVersion: 2, manifests: [entry(old, "amd64"), entry(arm, "arm64")] }),
  );
  for (const reference of ["multi", sha256(index)]) server.manifests.set(`base ${reference}`, index);
  const name = `${server.host}/base:multi`;
  const place = newPlace();
  writeFileSync(join(place.projectDir, "Dockerfile"), `FROM ${name}\n`);
  assert.equal(await place.resolve(name), old.digest);
  assert.deepEqual((await readLock(place.projectDir)).bases[name], {
    index: sha256(index),
    platforms: { "linux/amd64": old.digest, "linux/arm64": arm.digest },
  });
  assert.equal(await place.resolve(name, "linux/arm64"), arm.digest);
  await assert.rejects(place.resolve(name, "linux/s390x"), withCode("NOT_FOUND", /none of it for linux\/s390x/));
  const moved = Buffer.from(index.toString().replace(old.digest, young.digest));
  publish(server, "base", "young", young);
  for (const reference of ["multi", sha256(moved)]) server.manifests.set(`base ${reference}`, moved);
  assert.deepEqual(await place.lock(true), [{ kind: "base", name, from: sha256(index), to: sha256(moved) }]);
  assert.equal(await place.resolve(name), young.digest);
  assert.equal(await place.resolve(name, "linux/arm64"), arm.digest);
  const byDigest = newPlace();
  assert.equal(await byDigest.resolve(`${server.host}/base@${sha256(index)}`), old.digest);
  assert.deepEqual(await byDigest.digests(), [old.digest, sha256(index)]);
  server.log.length = 0;
  assert.equal(await byDigest.resolve(`${server.host}/base:whatever@${sha256(index)}`), old.digest);
  assert.equal(await byDigest.resolve(sha256(index)), old.digest);
  assert.deepEqual(await byDigest.digests(), [old.digest, sha256(index)]);
  assert.deepEqual(server.log, []);
  assert.equal(byDigest.used(), undefined);
  assert.deepEqual((await readLock(byDigest.projectDir)).bases, {});
});

test("`resolve()` takes no image that lies about its content, and none that is for another machine", async () => {
  const server = await newHub();
  const lying = makeImage([100]);
  const config = Buffer.from(lying.config.toString().replace(/sha256:[0-9a-f]{64}/, sha256("other")));
  const manifest = Buffer.from(
    lying.manifest
      .toString()
      .replace(sha256(lying.config), sha256(config))
      .replace(`"size":${lying.config.byteLength}`, `"size":${config.byteLength}`),
  );
  publish(server, "base", "lie", { ...lying, config, manifest, digest: sha256(manifest) });
  const place = newPlace();
  await assert.rejects(place.resolve(`${server.host}/base:lie`), withCode("VERIFICATION_FAILED", /the config says/));
  assert.equal(await place.store.stat(sha256(manifest)), undefined);
  publish(server, "base", "arm", arm);
  await assert.rejects(place.resolve(`${server.host}/base:arm`), withCode("NOT_FOUND", /none of it for linux\/amd64/));
});

test("`resolve()` takes no layer that was made to do harm", async () => {
  const server = await newHub();
  const harms: readonly (readonly [harm: Buffer, says: RegExp])[] = [
    [tar([member("../../x", "y")]), /the path "\.\.\/\.\.\/x"/],
    [tar([symlink("a", "/etc"), member("a/passwd", "x")]), /below "a", which is a symlink/],
    [tar([member("dev", "", { kind: "block" })]), /a device node/],
    [tar([hardlink("a", "/etc/shadow")]), /absolute path "\/etc\/shadow"/],
    [tar([hardlink("a", "gone")]), /a hard link to "gone"/],
    [Buffer.from("no archive"), /ends without|check sum|Cannot take/],
  ];
  for (const [index, [harm, says]] of harms.entries()) {
    const image = imageOf([harm]);
    publish(server, "base", `harm${index}`, image);
    const place = newPlace();
    await assert.rejects(place.resolve(`${server.host}/base:harm${index}`), withCode("VERIFICATION_FAILED", says));
    assert.equal(await place.store.stat(image.digest), undefined);
    assert.equal(await place.store.stat(sha256(image.layers[0] as Buffer)), undefined);
  }
});

test("`resolve()` says what it lacks where there is no registry to ask, or the image has gone from it", async () => {
  const place = newPlace(noRegistry);
  await assert.rejects(
    place.resolve("base:1"),
    withCode("NOT_FOUND", /docker\.io\/library\/base:1: the store lacks it/),
  );
  await assert.rejects(place.resolve(old.digest), withCode("NOT_FOUND", /the store lacks it/));
  const server = await newHub();
  const gone = newPlace();
  const name = `${server.host}/base:1`;
  await gone.resolve(name);
  server.manifests.clear();
  const elsewhere = newPlace(newClient(), gone.projectDir);
  await assert.rejects(elsewhere.resolve(name), withCode("NOT_FOUND", /has no such image/));
  assert.equal(await gone.resolve(name), old.digest);
});

test("`lockProject()` makes missing pins; only update moves them, and tells what moved", async () => {
  const server = await newHub();
  publish(server, "tools", "1", old);
  const place = newPlace();
  const [base, tools] = [`${server.host}/base:1`, `${server.host}/tools:1`];
  writeFileSync(join(place.projectDir, "Dockerfile"), `FROM ${base} AS a\nFROM ${tools}\nCOPY --from=a / /\n`);
  assert.deepEqual(await place.lock(false), [
    { kind: "base", name: base, from: null, to: old.digest },
    { kind: "base", name: tools, from: null, to: old.digest },
  ]);
  assert.deepEqual(await place.lock(true), []);
  for (const name of ["base", "tools"]) publish(server, name, "1", young);
  assert.deepEqual(await place.lock(false), []);
  assert.deepEqual(await place.lock(true, [tools]), [
    { kind: "base", name: tools, from: old.digest, to: young.digest },
  ]);
  assert.deepEqual(await place.lock(true), [{ kind: "base", name: base, from: old.digest, to: young.digest }]);
  await assert.rejects(place.lock(true, ["other:1"]), withCode("NOT_FOUND", /does not begin with it/));
});

test("`lockProject()` updates from the store what was brought there by hand, and asks the registry for what was pulled", async () => {
  const server = await newHub();
  const place = newPlace();
  const name = `${server.host}/base:1`;
  writeFileSync(join(place.projectDir, "Dockerfile"), `FROM ${name}\nCOPY x /\n`);
  await place.resolve(name);
  await place.store.tag(name, old.digest);
  publish(server, "base", "1", young);
  assert.equal((await place.lock(true))[0]?.to, young.digest);
  const own = makeImage([7]);
  await put(place.store, own, name);
  assert.equal((await place.lock(true))[0]?.to, own.digest);
});

test("`buildArtifact()` pins every image of the stages it needs before it reads the project, and no other", async () => {
  const server = await newHub();
  for (const name of ["tools", "unused"]) publish(server, name, "1", old);
  const projectDir = newFolder();
  const [base, tools] = [`${server.host}/base:1`, `${server.host}/tools:1`];
  const unneeded = `FROM ${server.host}/unused:1 AS unneeded`;
  const dockerfile = `${unneeded}\nFROM ${base}\nCOPY bronze.lock /lock\nCOPY --from=${tools} file0 /tool\n`;
  writeFileSync(join(projectDir, "Dockerfile"), dockerfile);
  const digests: string[] = [];
  for (let run = 0; run < 2; run++) {
    const built = await buildArtifact(
      { kind: "dockerfile", path: "Dockerfile" },
      {
        projectDir,
        store: createLocalStore(newFolder()),
        registry: newClient(),
        cacheDir: newFolder(),
        sourceEpoch: 0,
        report: () => undefined,
        signal: new AbortController().signal,
      },
    );
    digests.push(built.digest);
  }
  assert.equal(digests[0], digests[1]);
  assert.deepEqual(Object.keys((await readLock(projectDir)).bases), [base, tools]);
});

test("`imageName()` tells names of images from paths", async () => {
  const projectDir = newFolder();
  writeFileSync(join(projectDir, "there:1"), "");
  for (const name of ["node:22", "ghcr.io/team/shop:v1", `shop@${old.digest}`, "127.0.0.1:5000/shop:1", "gone:1"])
    assert.equal(await imageName(name, projectDir), name);
  for (const path of [
    "image.tar",
    "artifacts/layout",
    "./node:22",
    "/x:1",
    "there:1",
    "127.0.0.1:5000/shop",
    "A:1",
    "",
  ])
    assert.equal(await imageName(path, projectDir), undefined, path);
});

test("two builds that pin the same name at once agree on one", async () => {
  const server = await newHub();
  publish(server, "base", "2", young);
  const name = `${server.host}/base:1`;
  const first = newPlace();
  const second = newPlace(newClient(), first.projectDir);
  await put(second.store, young, name);
  const [one, other] = await Promise.all([first.resolve(name), second.resolve(name)]);
  assert.equal(one, other);
  const { signal } = new AbortController();
  const lock = await changeLock(first.projectDir, signal, (now) => now);
  assert.equal(lock.bases[name]?.platforms[amd64], one);
});
