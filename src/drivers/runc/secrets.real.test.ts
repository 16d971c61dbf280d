import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Digest } from "../../model/canonical.ts";
import type { InstanceName } from "../../model/names.ts";
import type { SecretName } from "../../model/secret.ts";
import { readText } from "../../linux/files.ts";
import { web } from "../../ports/runtime.suite.ts";
import type { InstanceSet } from "../../ports/runtime.ts";
import { busyboxLayer, createBench, eventually, layerTar, putImage, type Bench } from "./fixture.suite.ts";
import { machineLeftovers } from "./leftovers.ts";
import type { RuncRuntime } from "./runtime.ts";

const canary = `canary-${randomBytes(9).toString("hex")}`;
const pem = `-----BEGIN-----\n${canary}\n-----END-----\n`;
const secrets = { DB_PASSWORD: Buffer.from(canary), "tls.pem": Buffer.from(pem) };

interface Tried {
  readonly bench: Bench;
  readonly runtime: RuncRuntime;
  readonly set: InstanceSet;
}

async function withSecrets(t: TestContext, script: string, config: object = {}, image = busyboxLayer): Promise<Tried> {
  const bench = await createBench();
  const runtime = await bench.runtime();
  t.after(() => bench.end(runtime));
  const artifact = await putImage(bench.store, { layers: [layerTar(image)], config: { ...config } });
  return { bench, runtime, set: await setWith(bench, artifact, script) };
}

async function setWith(bench: Bench, artifact: Digest, script: string): Promise<InstanceSet> {
  const plain = bench.set(artifact, {
    command: ["/bin/sh", "-c", `${script}\necho done; exec sleep 1000`],
    secretVariables: ["DB_PASSWORD"],
  });
  const { app, environment } = plain;
  for (const [name, value] of Object.entries(secrets))
    await bench.secrets.write({ app, environment, name: name as SecretName, version: 1 }, value);
  return { ...plain, content: { ...plain.content, secrets: { DB_PASSWORD: 1, "tls.pem": 1 } } };
}

async function said({ runtime }: Tried, name: InstanceName): Promise<readonly string[]> {
  return eventually(async () => {
    const { logTail, exit } = await runtime.facts(name);
    assert.equal(exit, null, logTail.join("\n"));
    return logTail.at(-1) === "done" ? logTail.slice(0, -1) : undefined;
  });
}

async function first({ runtime }: Tried): Promise<{ readonly name: InstanceName; readonly pid: number }> {
  const [instance] = await runtime.observe();
  assert.ok(instance?.pid);
  return { name: instance.name, pid: instance.pid };
}

/** Files below a folder that hold the value, without what is mounted on it. */
function holding(folder: string): readonly string[] {
  const { stdout } = spawnSync(
    "find",
    [folder, "-xdev", "-type", "f", "-exec", "grep", "-l", "-a", "-F", canary, "{}", "+"],
    {
      encoding: "utf8",
    },
  );
  return stdout.split("\n").filter((line) => line !== "");
}

test("an instance sees its secrets as files of its user and as variables, and nothing of them is on the disk", async (t) => {
  const tried = await withSecrets(
    t,
    'stat -c "%n %a %u %g" /run/secrets /run/secrets/*; cat /run/secrets/DB_PASSWORD; echo; cat /run/secrets/tls.pem; test "$DB_PASSWORD" = "$(cat /run/secrets/DB_PASSWORD)" && echo same; env | grep -c tls.pem; ulimit -c; touch /run/secrets/x 2>&1',
    { User: "1000:1000" },
  );
  const { runtime, set, bench } = tried;
  await runtime.ensure(set, web(2, 1), bench.signal);
  const { name, pid } = await first(tried);
  const [folder, password, file, ...rest] = await said(tried, name);
  assert.equal(folder, "/run/secrets 500 1000 1000");
  assert.equal(password, "/run/secrets/DB_PASSWORD 400 1000 1000");
  assert.equal(file, "/run/secrets/tls.pem 400 1000 1000");
  assert.deepEqual(rest.slice(0, 6), [canary, ...pem.trim().split("\n"), "same", "0"]);
  assert.equal(rest[6], "0", "no core dumps");
  assert.match(rest[7] ?? "", /Read-only file system/);
  const { places } = bench;
  assert.deepEqual(
    holding(places.state).filter((path) => !path.startsWith(places.log)),
    [],
  );
  // What it holds is plain for its user, and for root by the one file system in memory.
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(places.run));
  assert.equal(mounts.filter((line) => line.includes(` ${places.run}/secrets tmpfs `)).length, 1);
  assert.deepEqual(readdirSync(join(places.run, "secrets", name)), ["files"]);
  assert.equal(
    readlinkSync(join(places.run, "instances", name, "config.json")),
    join(places.run, "secrets", name, "config.json"),
  );
  for (const other of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && Number(entry) !== pid)) {
    if (namespaceOf(Number(other)) !== namespaceOf(process.pid)) continue;
    for (const file of ["cmdline", "environ"]) {
      const text = Number(other) === process.pid ? "" : (readText(`/proc/${other}/${file}`) ?? "");
      assert.ok(!text.includes(canary), `${file} of ${other}`);
    }
  }
});

test("values go with their instance, with the last one their file system, and a new daemon removes what a killed one left", async (t) => {
  const tried = await withSecrets(t, ":");
  const { runtime, set, bench } = tried;
  const place = join(bench.places.run, "secrets");
  await runtime.ensure(set, web(2, 1), bench.signal);
  const [one, two] = (await runtime.observe()).map(({ name }) => name);
  assert.ok(one !== undefined && two !== undefined);
  await runtime.remove([one], 0, bench.signal);
  assert.deepEqual(readdirSync(place), [two]);
  // As a daemon leaves it that is killed before there is a bundle.
  mkdirSync(join(place, "shop-production-v9-1"));
  writeFileSync(join(place, "shop-production-v9-1", "x"), canary);
  runtime.stop();
  const next = await bench.runtime();
  assert.deepEqual(readdirSync(place), [two]);
  assert.equal((await next.observe())[0]?.phase, "running");
  await next.remove([two], 0, bench.signal);
  assert.deepEqual(readdirSync(place), []);
  assert.deepEqual(
    machineLeftovers(bench.places).flatMap(({ subject }) => (subject === place ? [subject] : [])),
    [place],
  );
  await next.close();
  assert.equal(existsSync(place), false);
  execFileSync("sh", ["-c", `! grep -q " ${place} " /proc/self/mounts`]);
});

test("a value that cannot be read starts nothing and leaves nothing", async (t) => {
  const tried = await withSecrets(t, ":");
  const { runtime, set, bench } = tried;
  const { app, environment } = set;
  await bench.secrets.remove({ app, environment, name: "tls.pem" as SecretName, version: 1 });
  await assert.rejects(runtime.ensure(set, web(1, 1), bench.signal), /Cannot read secret tls.pem v1/);
  assert.deepEqual(await runtime.observe(), []);
});

test("secrets appear also where the image has /run as a link, or a tmpfs lies on it", async (t) => {
  const tried = await withSecrets(t, "cat /run/secrets/DB_PASSWORD; echo", {}, (root) => {
    busyboxLayer(root);
    mkdirSync(join(root, "var/run"), { recursive: true });
    symlinkSync("/var/run", join(root, "run"));
  });
  const { runtime, bench } = tried;
  await runtime.ensure(tried.set, web(1, 1), bench.signal);
  assert.deepEqual(await said(tried, (await first(tried)).name), [canary]);
  await runtime.remove([(await first(tried)).name], 0, bench.signal);
  const { content } = tried.set;
  const onTmpfs = { ...tried.set, content: { ...content, settings: { ...content.settings, tmpfs: ["/var/run"] } } };
  await runtime.ensure(onTmpfs, web(1, 2), bench.signal);
  assert.deepEqual(await said(tried, (await first(tried)).name), [canary]);
});

function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return "";
  }
}
