import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createSite, eventually, get, launcher, type CommandResult, type Site } from "../support/bronze.ts";
import { secrets, startBreakingWay, startDockerRegistry } from "../support/docker-registry.ts";

interface Built {
  readonly digest: string;
}
interface Pulled extends Built {
  readonly fetched: boolean;
}

const inspect = (args: readonly string[]): { readonly Digest: string; readonly Layers: readonly string[] } =>
  JSON.parse(execFileSync("skopeo", ["inspect", ...args], { encoding: "utf8" })) as never;

function assertNothingSecret(what: string, ...texts: readonly string[]): void {
  for (const text of texts) for (const secret of secrets) assert.ok(!text.includes(secret), `${what}: ${text}`);
}

async function succeed(
  site: Site,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CommandResult> {
  const result = await site.bronze(args, { env });
  assert.equal(result.status, 0, `bronze ${args.join(" ")}: ${result.stderr}`);
  assertNothingSecret(args.join(" "), result.stdout, result.stderr);
  return result;
}

test(
  "through Debian's docker-registry with TLS and a password, skopeo and Bronze read what the other wrote, byte for byte",
  { timeout: 300_000 },
  async (t) => {
    const registry = await startDockerRegistry(t, { guarded: true });
    const { host, credentials } = registry;
    const ours = createSite(t);
    const env = { DOCKER_CONFIG: join(credentials, ".."), NODE_EXTRA_CA_CERTS: registry.authority };
    const { digest } = await ours.json<Built>(["build"]);

    // Neither a certificate that nobody vouches for nor a missing password gets through.
    const distrusted = await ours.bronze(["push", `${host}/team/shop:v1`], {
      env: { DOCKER_CONFIG: env.DOCKER_CONFIG },
    });
    assert.equal(distrusted.status, 11);
    assert.match(distrusted.stderr, /REGISTRY_FAILED[^]*hint: .*certs\.d\/127\.0\.0\.1:[0-9]+\/ca\.crt/);
    const stranger = await ours.bronze(["push", `${host}/team/shop:v1`], {
      env: { NODE_EXTRA_CA_CERTS: registry.authority, DOCKER_CONFIG: "/nonexistent", HOME: "/nonexistent" },
    });
    assert.equal(stranger.status, 11);
    assert.match(stranger.stderr, /answered 401[^]*docker login/);
    assertNothingSecret("refusals", distrusted.stderr, stranger.stderr);

    const pushed = await succeed(ours, ["push", `${host}/team/shop:v1`], env);
    assert.equal(pushed.stdout, `${host}/team/shop:v1@${digest}\n`);
    const certificates = join(registry.authority, "..", "certificates");
    mkdirSync(certificates);
    copyFileSync(registry.authority, join(certificates, "ca.crt"));
    const skopeo = ["--authfile", credentials];
    const seen = inspect([...skopeo, "--cert-dir", certificates, `docker://${host}/team/shop:v1`]);
    assert.equal(seen.Digest, digest);

    // skopeo writes it under another name, compressed anew: another image with the same files.
    const copy = ["copy", "--quiet", ...skopeo, "--src-cert-dir", certificates, "--dest-cert-dir", certificates];
    execFileSync("skopeo", [
      ...copy,
      "--dest-compress-format=gzip",
      "--format=v2s2",
      `docker://${host}/team/shop:v1`,
      `docker://${host}/team/theirs:v1`,
    ]);
    const theirs = inspect([...skopeo, "--cert-dir", certificates, `docker://${host}/team/theirs:v1`]);
    const other = createSite(t);
    const pulled = JSON.parse(
      (await succeed(other, ["pull", `${host}/team/theirs:v1`, "--json"], env)).stdout,
    ) as Pulled;
    assert.deepEqual([pulled.digest, pulled.fetched], [theirs.Digest, true]);
    const again = JSON.parse(
      (await succeed(other, ["pull", `${host}/team/theirs:v1`, "--json"], env)).stdout,
    ) as Pulled;
    assert.equal(again.fetched, false);

    // As an artifact it goes live as it is, pinned.
    other.write({ "bronze.yaml": `app: shop\nbuild: { image: "${host}/team/theirs:v1" }\nrun: { port: 8080 }\n` });
    const up = await succeed(other, ["up", "--http-port", "0", "--json"], env);
    const { url } = JSON.parse(up.stdout.trim().split("\n").at(-1) ?? "") as { readonly url: string };
    assert.equal((await get(url)).body, "v1\n");
    assert.match(readFileSync(join(other.project, "bronze.lock"), "utf8"), new RegExp(pulled.digest));

    // As a base it is pinned; only an update moves the pin, and says from what to what.
    const based = createSite(t);
    const base = `${host}/team/base:1`;
    based.write({ Dockerfile: `FROM ${base}\nCOPY root/www/ /www/\n` });
    await succeed(ours, ["push", base], env);
    await succeed(based, ["build"], env);
    ours.write({ "root/www/index.html": "v2\n" });
    const young = await ours.json<Built>(["build"]);
    await succeed(ours, ["push", base], env);
    assert.equal((await succeed(based, ["lock"], env)).stdout, "");
    assert.equal((await succeed(based, ["lock", "--update"], env)).stdout, `${base} ${digest} → ${young.digest}\n`);
    await succeed(based, ["build"], env);
    // The base's layers are in that registry: they are not sent once more.
    const mounted = await succeed(based, ["push", `${host}/team/based:1`], env);
    assert.match(mounted.stderr, /^✓ push {2}[^ ]+ {2}.* 0\.0 MB\n$/);

    for (const site of [ours, other, based])
      for (const [path, text] of filesUnder(site.state)) assertNothingSecret(path, text);
  },
);

/** Every file of a state folder but images of layers; links are not followed, and what the daemon removes meanwhile is left out. */
function filesUnder(folder: string): readonly (readonly [path: string, text: string])[] {
  const unlessGone = <Result>(read: () => Result, otherwise: Result): Result => {
    try {
      return read();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return otherwise;
      throw error;
    }
  };
  const entries = unlessGone(() => readdirSync(folder, { withFileTypes: true }), []);
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "layers" ? [] : filesUnder(path);
    return entry.isFile() ? [[path, unlessGone(() => readFileSync(path, "latin1"), "")] as const] : [];
  });
}

/** A site whose image has a layer of so many MB that do not compress. */
function createLargeSite(t: Parameters<typeof createSite>[0], megabytes: number): Site {
  const site = createSite(t);
  writeFileSync(join(site.project, "root/large"), randomBytes(megabytes * 1e6));
  return site;
}

test(
  "pushes and pulls over connections that break go on, also after a kill; a full disk is left as it was",
  { timeout: 300_000 },
  async (t) => {
    const registry = await startDockerRegistry(t, { guarded: false });
    const way = await startBreakingWay(t, registry.port);
    const ours = createLargeSite(t, 12);
    const { digest } = await ours.json<Built>(["build"]);
    way.after = 8e6;
    const push = ours.bronze(["push", `${way.host}/team/shop:v1`]);
    await eventually("the upload breaks", () => way.breaks > 0, 60_000);
    way.after = Number.POSITIVE_INFINITY;
    const pushed = await push;
    assert.equal(pushed.status, 0, pushed.stderr);

    const other = createSite(t);
    way.after = 2.5e6;
    way.bytes = 0;
    way.breaks = 0;
    const pulled = await other.json<Pulled>(["pull", `${way.host}/team/shop:v1`]);
    assert.equal(pulled.digest, digest);
    assert.ok(way.breaks >= 4, `${way.breaks} breaks`);
    assert.ok(way.bytes < 12e6 * 2, `${way.bytes} bytes for 12 MB`);

    const third = createSite(t);
    way.after = Number.POSITIVE_INFINITY;
    way.bytes = 0;
    way.delayMs = 20;
    const child = spawn(launcher, ["pull", `${way.host}/team/shop:v1`, "--state", third.state], {
      stdio: "ignore",
      detached: true,
    });
    const downloads = join(third.state, "cache/downloads");
    const kept = (): number =>
      existsSync(downloads)
        ? Math.max(0, ...readdirSync(downloads).map((name) => statSync(join(downloads, name)).size))
        : 0;
    await eventually("half has come", () => kept() > 6e6, 60_000);
    process.kill(-(child.pid as number), "SIGKILL");
    await once(child, "exit");
    way.delayMs = 0;
    way.bytes = 0;
    assert.equal((await third.json<Pulled>(["pull", `${way.host}/team/shop:v1`])).digest, digest);
    assert.ok(way.bytes < 9e6, `${way.bytes} bytes for the other half of 12 MB`);
    assert.deepEqual(readdirSync(downloads), []);

    for (const mebibytes of [8, 20]) {
      const small = createSite(t, { kind: "tmpfs", mebibytes });
      const full = await small.bronze(["pull", `${registry.host}/team/shop:v1`]);
      assert.equal(full.status, 11, full.stderr);
      assert.match(full.stderr, /DISK_FULL/);
      const left = readdirSync(small.state, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
      assert.deepEqual(
        left.filter((one) => statSync(join(one.parentPath, one.name)).size > 1e6),
        [],
      );
    }
  },
);

test(
  "what save writes is one image to skopeo as an OCI and as a Docker archive, and comes back by import",
  { timeout: 300_000 },
  async (t) => {
    const site = createSite(t);
    const { digest } = await site.json<Built>(["build"]);
    const file = join(site.project, "shop.tar");
    assert.equal((await site.bronze(["save", "shop", "-o", file])).status, 0);
    assert.equal(inspect([`oci-archive:${file}`]).Digest, digest);
    const docker = inspect([`docker-archive:${file}:shop:latest`]);
    assert.deepEqual(docker.Layers, inspect([`oci-archive:${file}`]).Layers);
    const first = readFileSync(file);
    rmSync(file);
    assert.equal((await site.bronze(["save", "shop", "-o", file])).status, 0);
    assert.ok(readFileSync(file).equals(first), "the same bytes");
    const theirs = join(site.project, "theirs.tar");
    execFileSync("skopeo", ["copy", "--quiet", `oci-archive:${file}`, `docker-archive:${theirs}:other:1`]);
    const back = createSite(t);
    assert.equal((await back.json<Built>(["import", file])).digest, digest);
    const { names } = await back.json<{ readonly names: readonly string[] }>(["import", theirs]);
    assert.deepEqual(names, ["other:1"]);
    const none = await back.bronze(["save", "nothing", "-o", join(back.project, "x.tar")]);
    assert.deepEqual([none.status, readdirSync(back.project).includes("x.tar")], [4, false]);
  },
);
