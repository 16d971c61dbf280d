import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createSite, launcher, type CommandResult, type Site } from "../support/bronze.ts";
import { startDockerRegistry } from "../support/docker-registry.ts";

interface Built {
  readonly digest: string;
}

interface Rebuilt {
  readonly identical: boolean;
  readonly replayed: readonly string[];
  readonly files: "kept" | "commit";
}

function commit(site: Site): void {
  const git = (...args: readonly string[]): unknown =>
    execFileSync("git", ["-C", site.project, "-c", "user.name=t", "-c", "user.email=t@localhost", ...args]);
  if (!existsSync(join(site.project, ".git"))) git("init", "--quiet");
  git("add", "--all");
  git("commit", "--quiet", "--message", "a change");
}

/** The command in a network namespace that has nothing but a loopback interface that is down. */
function offline(site: Pick<Site, "state" | "project">, ...args: readonly string[]): CommandResult {
  const { status, stdout, stderr } = spawnSync("unshare", ["--net", "--", launcher, ...args, "--state", site.state], {
    encoding: "utf8",
    cwd: site.project,
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stdout, stderr, ms: 0 };
}

/** What `--json` printed. */
function record({ status, stdout, stderr }: CommandResult): Rebuilt {
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Rebuilt;
}

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bz-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const timeout = 300_000;
const online =
  "RUN /bin/busybox wget -q -O /dev/null http://10.255.255.1/ & /bin/busybox sleep 0.2; /bin/busybox date > /made";

test(
  "`bronze rebuild` makes the same bytes from a commit, without a network, whatever was changed since",
  { timeout },
  async (t) => {
    const site = createSite(t);
    site.write({
      Dockerfile:
        "FROM scratch AS base\nCOPY root/ /\nCOPY root/bin/busybox /bin/sh\nRUN busybox echo made > /made\nFROM base\nCOPY root/www /www\n",
    });
    commit(site);
    const { digest } = await site.json<Built>(["build"]);
    site.write({ "root/www/index.html": "v2\n" });
    const made = record(offline(site, "rebuild", digest, "--strict", "--json"));
    assert.deepEqual([made.identical, made.replayed, made.files], [true, [], "commit"]);
    // Nothing of it stays, and the store is as it was.
    assert.deepEqual(readdirSync(join(site.state, "check")), []);

    // Who has not got the commit is told so.
    const elsewhere = await site.bronze(["rebuild", digest, "--source", "/"]);
    assert.equal(elsewhere.status, 4, elsewhere.stderr);
    assert.match(elsewhere.stderr, /Cannot find the commit [0-9a-f]{40}/);

    // Files that were not committed were kept.
    const dirty = await site.json<Built>(["build"]);
    site.write({ "root/www/index.html": "v3\n" });
    const again = record(offline(site, "rebuild", dirty.digest, "--json"));
    assert.deepEqual([again.identical, again.files], [true, "kept"]);
  },
);

test(
  "`bronze rebuild` takes what steps got from the network as it was kept, also elsewhere; strictly it names them",
  { timeout },
  async (t) => {
    const site = createSite(t);
    const folder = newFolder(t);
    site.write({
      Dockerfile: `FROM scratch AS build\nCOPY root/bin /bin\nCOPY root/bin/busybox /bin/sh\n${online}\nRUN busybox cp /made /after\nFROM scratch\nCOPY root/ /\nCOPY root/bin/busybox /bin/sh\nCOPY --from=build /after /after\nRUN busybox cat /after > /twice\n`,
    });
    const { digest } = await site.json<Built>(["build"]);
    const made = record(offline(site, "rebuild", digest, "--json"));
    assert.equal(made.identical, true);
    assert.deepEqual(made.replayed.length, 1);
    const strict = await site.bronze(["rebuild", digest, "--strict"]);
    assert.equal(strict.status, 7, strict.stderr);
    assert.match(strict.stderr, /a step used the network\ncause: .*RUN \/bin\/busybox wget/);

    // Another machine, with what `bronze save` took along and the key of this one.
    const archive = join(folder, "saved.tar");
    const key = join(folder, "key.pem");
    await site.json(["save", digest, "-o", archive]);
    writeFileSync(key, (await site.bronze(["key", "export"])).stdout);
    const other = { state: join(folder, "state"), project: folder };
    record(offline(other, "import", archive, "--name", "shop:latest", "--json"));
    const stranger = offline(other, "rebuild", digest);
    assert.equal(stranger.status, 7, stranger.stderr);
    assert.match(stranger.stderr, /the key log does not know/);
    const there = record(offline(other, "rebuild", digest, "--key", key, "--json"));
    assert.deepEqual([there.identical, there.files], [true, "kept"]);

    // The same by way of a registry, which then is gone.
    const { host } = await startDockerRegistry(t, { guarded: false });
    const name = `${host}/team/shop:v1`;
    await site.json(["push", name]);
    const third = { state: join(folder, "third"), project: folder };
    const pulled = spawnSync(launcher, ["pull", name, "--state", third.state], { encoding: "utf8", cwd: folder });
    assert.equal(pulled.status, 0, pulled.stderr);
    const fetched = record(offline(third, "rebuild", name, "--key", key, "--json"));
    assert.deepEqual([fetched.identical, fetched.replayed, fetched.files], [true, made.replayed, "kept"]);
  },
);

test("`bronze rebuild` names the first layer, path and field that differ", { timeout }, async (t) => {
  const site = createSite(t);
  site.write({
    Dockerfile: `FROM scratch\nCOPY root/ /\nCOPY root/bin/busybox /bin/sh\nRUN busybox head -c 8 /dev/urandom | busybox hexdump > /random\n${online}\n`,
  });
  const { digest } = await site.json<Built>(["build"]);
  const other = await site.bronze(["rebuild", digest]);
  assert.equal(other.status, 7, other.stderr);
  assert.match(other.stderr, /cause: layer 3 \(RUN .*\), \/random: content at byte \d+/);
  // It stands on that layer: nothing of it was kept for another one.
  assert.match(other.stderr, /step 5\/5 used the network and was run again/);
  assert.doesNotMatch(other.stderr, /taken as it was kept/);
});

test(
  "`bronze rebuild` of a recipe: from the packages in the cache, and from the archive again where one is gone",
  { timeout },
  async (t) => {
    const site = createSite(t);
    site.write({
      "bronze.yaml": "app: shop\nbuild: { debian: bookworm, packages: [tzdata], copy: [root/www], command: [/none] }\n",
    });
    const { digest } = await site.json<Built>(["build"]);
    rmSync(join(site.project, "bronze.lock"));
    assert.equal(record(offline(site, "rebuild", digest, "--json")).identical, true);
    const debs = join(site.state, "cache/debs");
    const [deb = ""] = readdirSync(debs).filter((name) => name.endsWith(".deb"));
    rmSync(join(debs, deb));
    const gone = offline(site, "rebuild", digest);
    assert.notEqual(gone.status, 0);
    assert.match(gone.stderr, /tzdata/);
    assert.equal((await site.json<Rebuilt>(["rebuild", digest])).identical, true);
  },
);

test(
  "`bronze sbom` lists an image of others, of which `bronze provenance` says that nobody told how it was made",
  { timeout },
  async (t) => {
    const site = createSite(t);
    const folder = newFolder(t);
    const archive = join(folder, "saved.tar");
    site.write({
      Dockerfile: "FROM scratch\nCOPY root/ /\nCOPY root/bin/busybox /bin/sh\nCOPY lib /app/node_modules/left\n",
      "lib/package.json": '{"name":"left","version":"1.2.3","license":"MIT"}',
    });
    const { digest } = await site.json<Built>(["build"]);
    const signed = await site.json<{ components: { purl?: string }[] }>(["sbom", "shop"]);
    assert.ok(signed.components.some(({ purl }) => purl === "pkg:npm/left@1.2.3"));
    const steps = await site.bronze(["provenance", "shop"]);
    assert.match(steps.stdout, /step 2\/4 +COPY root\/ \//);
    // As somebody else would publish it, who signs nothing.
    await site.json(["save", digest, "-o", archive, "--format", "docker"]);
    const other = { state: join(folder, "state"), project: folder };
    record(offline(other, "import", archive, "--name", "theirs:1", "--json"));
    const list = offline(other, "sbom", "theirs:1");
    assert.match(list.stdout, /npm +left +1\.2\.3 +MIT\n1 packages, .* made now, and not signed/);
    const told = offline(other, "provenance", "theirs:1");
    assert.equal(told.status, 4, told.stderr);
    assert.match(told.stderr, /nobody says how it was made/);
  },
);

test(
  "equal builds of two clones in two state folders sign the same provenance and bill, byte for byte",
  { timeout },
  async (t) => {
    const site = createSite(t);
    site.write({
      Dockerfile:
        "FROM scratch\nCOPY root/ /\nCOPY root/bin/busybox /bin/sh\nRUN busybox echo said; busybox echo made > /made\n",
    });
    commit(site);
    const folder = newFolder(t);
    const clone = join(folder, "elsewhere/clone");
    mkdirSync(join(folder, "elsewhere"));
    cpSync(site.project, clone, { recursive: true });
    const state = join(folder, "state");
    const statement = async (command: string, own: boolean): Promise<string> => {
      const args = [command, "shop", "--predicate", ...(own ? [] : ["--state", state])];
      const { status, stdout, stderr } = own
        ? await site.bronze(args)
        : { ...spawnSync(launcher, args, { encoding: "utf8", cwd: folder }) };
      assert.equal(status, 0, stderr);
      return stdout;
    };
    await site.json(["build"]);
    execFileSync(launcher, ["build", "--state", state, "--file", join(clone, "bronze.yaml")], {
      cwd: "/",
      env: { ...process.env, TZ: "Asia/Tokyo", LANG: "C" },
      stdio: "ignore",
    });
    for (const command of ["provenance", "sbom"])
      assert.equal(await statement(command, true), await statement(command, false), command);
    // A build that found everything in the cache says what the one that ran it said.
    const before = await statement("provenance", true);
    await site.json(["build", "--progress", "plain"]);
    assert.equal(await statement("provenance", true), before);
    assert.ok(
      !before.includes(site.project) &&
        !readFileSync("/etc/hostname", "utf8")
          .trim()
          .split("\n")
          .some((name) => name.length > 3 && before.includes(name)),
    );
  },
);
