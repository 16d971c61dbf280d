import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { createSite, launcher, type Site } from "../support/bronze.ts";

interface Built {
  readonly digest: string;
  readonly layers: readonly { readonly digest: string }[];
}

/** Unpacks layers into a folder, to run what is in them. */
function unpack(site: Site, built: Built, root: string): void {
  for (const { digest } of built.layers) {
    const blob = join(site.state, "store/blobs/sha256", digest.slice("sha256:".length));
    execFileSync("tar", ["--extract", "--keep-directory-symlink", "--file", blob, "--directory", root]);
  }
}

const timeout = 600_000;

test("a recipe of Debian's packages is built again without a network, and its programs run", { timeout }, async (t) => {
  const site = createSite(t);
  const folder = mkdtempSync(join(tmpdir(), "bz-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const build =
    "{ debian: bookworm, packages: [busybox-static, ca-certificates, nodejs, python3], copy: [server.js], command: [node, server.js] }";
  site.write({ "bronze.yaml": `app: shop\nbuild: ${build}\n`, "server.js": "console.log(process.version)\n" });
  const built = await site.json<Built>(["build"]);

  // Another state folder that has the packages, elsewhere, as somebody else.
  const state = join(folder, "state");
  mkdirSync(join(state, "cache"), { recursive: true });
  cpSync(join(site.state, "cache/debs"), join(state, "cache/debs"), { recursive: true });
  const offline = spawnSync(
    "unshare",
    ["--net", "--", launcher, "build", "--json", "--state", state, "--file", join(site.project, "bronze.yaml")],
    { encoding: "utf8", cwd: "/", env: { ...process.env, TZ: "Asia/Tokyo", LANG: "C" } },
  );
  assert.equal(offline.status, 0, offline.stderr);
  assert.equal((JSON.parse(offline.stdout) as Built).digest, built.digest);

  const root = join(folder, "root");
  mkdirSync(root);
  unpack(site, built, root);
  const run = (...command: readonly string[]): string =>
    execFileSync("/usr/sbin/chroot", [root, ...command], { encoding: "utf8" }).trim();
  assert.match(run("/usr/bin/node", "/app/server.js"), /^v[0-9]+\./);
  // Python finds the certificates without being told, as every program that uses OpenSSL.
  const trusted = run("/usr/bin/python3", "-c", "import ssl; print(len(ssl.create_default_context().get_ca_certs()))");
  assert.ok(Number(trusted) > 50, trusted);
  assert.equal(run("/bin/busybox", "echo", "static"), "static");
  assert.deepEqual(
    readdirSync(join(root, "usr/bin")).filter((name) => /^(sh|dash|bash|apt.*|dpkg)$/.test(name)),
    [],
  );

  // What scanners read is what dpkg would write.
  const records = join(root, "var/lib/dpkg/status.d");
  const names = readdirSync(records).filter((name) => !name.endsWith(".md5sums"));
  const status = names.map((name) => readFileSync(join(records, name), "utf8")).join("\n");
  const admin = join(folder, "admin");
  mkdirSync(admin);
  writeFileSync(join(admin, "status"), status);
  const format = "${db:Status-Status} ${Package} ${source:Package}\n";
  const shown = execFileSync("dpkg-query", [`--admindir=${admin}`, "-W", "-f", format], { encoding: "utf8" })
    .trim()
    .split("\n");
  assert.deepEqual(
    shown.map((line) => line.split(" ")[1]),
    [...names].sort(),
  );
  assert.ok(shown.includes("installed libnode108 nodejs"), shown.join("\n"));
});

test(
  "a full recipe is a base for a Dockerfile's RUN steps, with apt and a shell, and no trace of its making",
  { timeout },
  async (t) => {
    const site = createSite(t);
    site.write({
      "base.yaml": "app: base\nbuild: { debian: bookworm, full: true, packages: [mawk] }\n",
      Dockerfile: [
        "FROM base:latest",
        "RUN dpkg --audit && dpkg-query -W mawk && echo x | awk '{print $1}' && apt-get --version && ls -la / > /listing",
        'CMD ["/bin/sh"]',
        "",
      ].join("\n"),
    });
    const base = await site.json<Built>(["build", "--file", "base.yaml"]);
    const layer = join(site.state, "store/blobs/sha256", (base.layers[0]?.digest ?? "").slice("sha256:".length));
    const paths = execFileSync("tar", ["--list", "--file", layer], { encoding: "utf8", maxBuffer: 64 * 2 ** 20 }).split(
      "\n",
    );
    for (const path of ["usr/bin/apt-get", "usr/bin/dash", "etc/alternatives/awk", "var/lib/dpkg/status", "etc/shadow"])
      assert.ok(paths.includes(path), path);
    const traces =
      /^etc\/(machine-id|passwd-|\.pwd\.lock)$|^var\/log\/.*[^/]$|^var\/cache\/(apt|ldconfig)\/.*[^/]$|^var\/lib\/apt\/lists\/.*[^/]$|-old$|__pycache__|^usr\/share\/(man|locale)\/./;
    assert.deepEqual(
      paths.filter((path) => traces.test(path)),
      [],
    );
    const read = (path: string): string =>
      execFileSync("tar", ["--extract", "--to-stdout", "--file", layer, path], { encoding: "utf8" });
    assert.deepEqual(["etc/hostname", "etc/resolv.conf"].map(read), ["", ""]);
    assert.match(read("etc/apt/sources.list"), /bookworm-security main/);
    await site.json<Built>(["build"]);
  },
);
