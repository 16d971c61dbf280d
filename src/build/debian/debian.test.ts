import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { OperatorError } from "../../errors/operator-error.ts";
import type { TarEntry } from "../../image/tar-entry.ts";
import { alternativeLinks, readAlternatives, type Alternative } from "./alternatives.ts";
import { chooseArchives, debianKeyring } from "./archives.ts";
import { furnish } from "./furnish.ts";
import { mergePackages, type MergeInput } from "./merge.ts";
import { comparePins, parsePins, pinsToJson, requestName, type DebianPins, type PinnedPackage } from "./pins.ts";
import { skippedScript } from "./scripts.ts";
import { parseUris } from "./solve.ts";
import { parseSources } from "./sources.ts";
import { parseStanzas, sourceOf } from "./stanza.ts";

test("`parseSources()` reads both forms, and of keys only files", () => {
  const list = [
    "# a comment",
    "deb [arch=amd64 signed-by=/k/one.gpg] http://a.example/debian bookworm main contrib # more",
    "deb-src http://a.example/debian bookworm main",
    "deb http://b.example/debian/ bookworm-updates main",
    "deb",
  ].join("\n");
  assert.deepEqual(parseSources("/etc/apt/sources.list", list), [
    { uri: "http://a.example/debian/", release: "bookworm", components: ["main", "contrib"], keyring: "/k/one.gpg" },
    { uri: "http://b.example/debian/", release: "bookworm-updates", components: ["main"], keyring: undefined },
  ]);
  const stanzas = [
    "Types: deb deb-src\nURIs: http://a.example/debian\nSuites: sid\n trixie\nComponents: main\n# no\nSigned-By: /k/two.gpg\n",
    "Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: sid\nComponents: main\n",
    "Types: deb-src\nURIs: http://source.example\nSuites: sid\nComponents: main\n",
    "Types: deb\nURIs: http://inline.example\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n",
  ].join("\n");
  assert.deepEqual(parseSources("/x.sources", stanzas), [
    { uri: "http://a.example/debian/", release: "sid", components: ["main"], keyring: "/k/two.gpg" },
    { uri: "http://a.example/debian/", release: "trixie", components: ["main"], keyring: "/k/two.gpg" },
    { uri: "http://inline.example/", release: "sid", components: ["main"], keyring: undefined },
  ]);
});

test("`chooseArchives()` takes the machine's mirror, all three suites, and nobody else's packages", () => {
  const own = "http://deb.debian.org/debian/";
  const security = "http://deb.debian.org/debian-security/";
  const shown = (suite: string, text: string): readonly string[] =>
    chooseArchives(suite, parseSources("/etc/apt/sources.list", text)).map(
      ({ release, uri, keyring }) => `${release} ${uri}${keyring === debianKeyring ? "" : ` ${keyring}`}`,
    );
  assert.deepEqual(shown("bookworm", ""), [
    `bookworm ${own}`,
    `bookworm-updates ${own}`,
    `bookworm-security ${security}`,
  ]);
  assert.deepEqual(shown("sid", ""), [`sid ${own}`]);
  const mirrored = [
    "deb https://packages.example/prod bookworm main",
    "deb https://download.example/linux/debian bookworm stable",
    "deb [signed-by=/k.gpg] http://m.example/debian bookworm main",
    "deb http://s.example/debian-security bookworm-security main",
  ].join("\n");
  assert.deepEqual(shown("bookworm", mirrored), [
    "bookworm http://m.example/debian/ /k.gpg",
    "bookworm-updates http://m.example/debian/ /k.gpg",
    "bookworm-security http://s.example/debian-security/",
  ]);
  // The same mirrors have the other suites.
  assert.deepEqual(shown("trixie", mirrored)[2], "trixie-security http://s.example/debian-security/");
  const renamed =
    "deb http://x.example/prod bookworm main\ndeb http://y.example/apt bookworm main\ndeb http://y.example/apt bookworm-updates main";
  assert.deepEqual(shown("bookworm", renamed)[0], "bookworm http://y.example/apt/");
});

test("`parseStanzas()` keeps folded lines, `sourceOf()` tells the source package and its version", () => {
  const [first, second, third] = parseStanzas(
    "Package: a\nVersion: 1\nDescription: x\n y\n\n\nPackage: b\nVersion: 1+b1\nSource: bb (1)\n\nPackage: c\nVersion: 3\nSource: cc\n",
  );
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  assert.equal(first.get("description"), "x\n y");
  assert.deepEqual([first, second, third].map(sourceOf), [
    { name: "a", version: "1" },
    { name: "bb", version: "1" },
    { name: "cc", version: "3" },
  ]);
});

test("`parseUris()` finds the archive and the path, and refuses another place", () => {
  const archives = chooseArchives("bookworm", []);
  const line = (uri: string): string => `'${uri}' x_1_all.deb 10 SHA256:ab\n`;
  const found = parseUris(
    `Reading…\n${line("http://deb.debian.org/debian/pool/main/x/x/x_1%2b2%7e3_all.deb")}`,
    archives,
  );
  assert.deepEqual(
    found.map(({ archive, path }) => [archive.name, path]),
    [["debian", "pool/main/x/x/x_1+2~3_all.deb"]],
  );
  assert.throws(() => parseUris(line("http://other.example/pool/x_1_all.deb"), archives), OperatorError);
});

const pin = (name: string, change: Partial<PinnedPackage> = {}): PinnedPackage => ({
  name,
  version: "1:2.0-3+deb12u1~bpo1",
  architecture: "amd64",
  archive: "debian",
  path: `pool/main/${name}/${name}_2.0_amd64.deb`,
  sha256: "ab".repeat(32),
  sizeBytes: 10,
  source: { name: `${name}-src`, version: "1:2.0-3" },
  ...change,
});
const pins = (...packages: readonly PinnedPackage[]): DebianPins => ({ published: "2026-11-18T22:17:41Z", packages });

test("`parsePins()` reads what `pinsToJson()` writes, and refuses what no build wrote", () => {
  const all = pins(pin("aa"), pin("libstdc++6", { archive: "debian-security" }));
  assert.deepEqual(parsePins(JSON.parse(JSON.stringify(pinsToJson(all))), "x"), all);
  const good = JSON.parse(JSON.stringify(pinsToJson(pins(pin("aa"))))) as { packages: { aa: Record<string, unknown> } };
  const bad: readonly Readonly<Record<string, unknown>>[] = [
    { sha256: "ab" },
    { from: "debian/pool/../../etc/passwd" },
    { from: "debian/pool//x" },
    { from: "other/pool/x" },
    { from: "debian/dists/x" },
    { version: "1 2" },
    { version: "$(x)" },
    { size: -1 },
    { size: 1e15 },
    { size: "10" },
    { source: "" },
    { architecture: 7 },
  ];
  for (const change of bad) {
    const value = { ...good, packages: { aa: { ...good.packages.aa, ...change } } };
    assert.throws(
      () => parsePins(value, "x"),
      (error) => error instanceof OperatorError && error.code === "DEFINITION_INVALID",
      JSON.stringify(change),
    );
  }
  for (const value of [
    null,
    [],
    {},
    { packages: {} },
    { ...good, published: "today" },
    { ...good, packages: { "-rf": good.packages.aa } },
  ])
    assert.throws(() => parsePins(value, "x"), OperatorError);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        parsePins(value, "x");
      } catch (error) {
        assert.ok(error instanceof OperatorError);
      }
    }),
  );
});

test("`requestName()` tells requests apart by all that decides their packages", () => {
  const request = { suite: "bookworm", architecture: "amd64", packages: ["a", "b"], recommends: false, full: false };
  assert.equal(requestName(request), "bookworm/amd64: a b");
  assert.equal(
    requestName({ ...request, full: true, recommends: true, packages: [] }),
    "bookworm/amd64 full with recommends:",
  );
});

test("`comparePins()` names what came, went and moved", () => {
  const before = pins(pin("a"), pin("b"), pin("c"));
  const after = pins(pin("b", { version: "3", sha256: "cd".repeat(32) }), pin("c"), pin("d"));
  assert.deepEqual(
    comparePins(before, after).map(({ name, from, to }) => [name, from?.slice(0, 3) ?? null, to?.slice(0, 3) ?? null]),
    [
      ["a", "1:2", null],
      ["b", "1:2", "3"],
      ["d", null, "1:2"],
    ],
  );
});

interface Member {
  readonly entry: TarEntry;
}
const member = (path: string, change: Partial<TarEntry> = {}): Member => ({
  entry: { path, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 0, target: "", ...change },
});
const folder = (path: string): Member => member(path, { kind: "directory", mode: 0o755 });
const input = (name: string, members: readonly Member[], control = ""): MergeInput<Member> => ({
  name,
  fields: parseStanzas(`Package: ${name}\nVersion: 1\n${control}`)[0] ?? new Map(),
  members,
});
const merged = (...inputs: readonly MergeInput<Member>[]): readonly string[] =>
  [...mergePackages(inputs)].map(([path, { owner, entry }]) => `${path} ${owner} ${entry.kind}`).sort();

test("`mergePackages()` puts everything under the merged /usr, with the folders that are missing", () => {
  assert.deepEqual(
    merged(
      input("a", [
        folder("bin"),
        member("bin/x"),
        member("lib64/ld.so"),
        member("bin", { kind: "symlink", target: "usr/bin" }),
      ]),
      input("b", [folder("usr/bin"), member("usr/bin/y"), member("opt/deep/z")]),
    ),
    [
      "opt b directory",
      "opt/deep b directory",
      "opt/deep/z b file",
      "usr a directory",
      "usr/bin a directory",
      "usr/bin/x a file",
      "usr/bin/y b file",
      "usr/lib64 a directory",
      "usr/lib64/ld.so a file",
    ],
  );
});

test("`mergePackages()` leaves documentation out, but no licence", () => {
  assert.deepEqual(
    merged(
      input("a", [
        folder("usr/share/doc/a"),
        member("usr/share/doc/a/copyright"),
        member("usr/share/doc/a/README"),
        member("usr/share/man/man1/a.1"),
        member("usr/share/doc/aa", { kind: "symlink", target: "a" }),
        member("usr/lib/python3/__pycache__/a.pyc"),
      ]),
    ).filter((row) => !row.endsWith("directory")),
    ["usr/share/doc/a/copyright a file", "usr/share/doc/aa a symlink"],
  );
});

test("`mergePackages()` takes a file over another's only where that is said, and knows all names of a file", () => {
  const one = input("one", [member("usr/x", { size: 5 }), member("usr/y", { kind: "hardlink", target: "usr/x" })]);
  for (const [control, fine] of [
    ["", false],
    ["Replaces: other\n", false],
    ["Replaces: other, one (<< 2)\n", true],
    ["Replaces: one (= 1)\n", true],
    ["Replaces: one (= 2)\n", false],
  ] as const) {
    const two = input("two", [member("usr/x")], control);
    if (fine) assert.deepEqual(merged(one, two).slice(1), ["usr/x two file", "usr/y one file"]);
    else assert.throws(() => merged(one, two), /one and two.*"\/usr\/x"/);
  }
  const placed = mergePackages([one]);
  assert.equal(placed.get("usr/x")?.member, placed.get("usr/y")?.member);
  assert.equal(placed.get("usr/y")?.entry.size, 5);
  assert.throws(() => merged(one, input("two", [folder("usr/x")])), /one and two/);
  assert.throws(() => merged(one, input("two", [member("usr/x/deep")])), /one and two/);
  assert.throws(() => merged(input("a", [member("y", { kind: "hardlink", target: "x" })])), OperatorError);
  assert.throws(() => merged(input("a", [member("dev/x", { kind: "character" })])), /"\/dev\/x" of a/);
});

test("`furnish()` adds what programs expect and replaces nothing that packages bring", () => {
  const files = (has: readonly string[]): ReadonlyMap<string, string> =>
    new Map(
      furnish({
        suite: "bookworm",
        has: (path) => has.includes(path),
        under: () => ["usr/share/ca-certificates/mozilla/b.crt", "usr/share/ca-certificates/mozilla/a.crt"],
        read: (path) => `${path}\n\n`,
        packages: [{ name: "x", control: "Package: x\nVersion: 1\n\n", md5sums: "0 f\n" }],
      }).map((file) => [file.path, file.kind === "file" ? file.text : file.kind === "symlink" ? file.target : "/"]),
    );
  const bare = files([]);
  assert.match(bare.get("etc/os-release") ?? "", /^VERSION_ID="12"$/m);
  assert.equal(
    bare.get("etc/ssl/certs/ca-certificates.crt"),
    "usr/share/ca-certificates/mozilla/a.crt\nusr/share/ca-certificates/mozilla/b.crt\n",
  );
  assert.equal(bare.get("var/lib/dpkg/status.d/x"), "Package: x\nStatus: install ok installed\nVersion: 1\n");
  assert.equal(bare.get("var/lib/dpkg/status.d/x.md5sums"), "0 f\n");
  assert.equal(bare.get("lib"), "usr/lib");
  assert.equal(bare.has("lib64"), false);
  assert.equal(bare.get("etc/resolv.conf"), "");
  const full = files(["etc/os-release", "etc/passwd", "usr/lib64"]);
  assert.deepEqual(
    [full.has("etc/os-release"), full.has("etc/passwd"), full.get("lib64")],
    [false, false, "usr/lib64"],
  );
});

test("`skippedScript()` names what scripts would have done, and nothing that means nothing in an image", () => {
  const uses = (text: string, name = "x"): readonly string[] | undefined =>
    skippedScript(name, new Map([["postinst", `#!/bin/sh\nset -e\n${text}\n`]]))?.uses;
  assert.equal(uses("ldconfig\nif [ -d /run/systemd ]; then\n  systemctl daemon-reload || true\nfi"), undefined);
  assert.equal(uses("# adduser would be nice\npy3compile -p x"), undefined);
  assert.deepEqual(
    uses(
      "if ! getent passwd x; then adduser --system x; fi\nfor x in a b; do update-alternatives --install /usr/bin/$x $x /opt/$x 5; done",
    ),
    ["adduser", "update-alternatives"],
  );
  assert.equal(uses("update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5"), undefined);
  assert.deepEqual(uses("/usr/sbin/setcap cap_net_raw+ep /bin/ping"), ["setcap"]);
  assert.equal(uses("chown root:root /x", "base-files"), undefined);
  assert.equal(skippedScript("x", new Map([["postrm", "chown x y\n"]])), undefined);
});

test("`readAlternatives()` takes what is written out, and tells when something is not", () => {
  const mawk =
    "update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/mawk 5 \\\n  --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/mawk.1.gz || true\n";
  assert.deepEqual(
    readAlternatives(`if [ "$1" = configure ]; then\n  ${mawk}fi\nupdate-alternatives --remove awk $old`),
    {
      alternatives: [
        {
          link: "/usr/bin/awk",
          name: "awk",
          path: "/usr/bin/mawk",
          priority: 5,
          followers: [
            { link: "/usr/share/man/man1/awk.1.gz", name: "awk.1.gz", path: "/usr/share/man/man1/mawk.1.gz" },
          ],
        },
      ],
      complete: true,
    },
  );
  for (const text of [
    "update-alternatives --install /usr/bin/$x x /y 1",
    "update-alternatives --install /usr/bin/x x $base/y 1",
    "update-alternatives $options",
    "update-alternatives --install ../x x /y 1",
    "update-alternatives --install /a/../x x /y 1",
    "update-alternatives --install /usr/bin/x x /y",
    "update-alternatives --install /usr/bin/x x /y 1 --slave /a b",
  ])
    assert.deepEqual(readAlternatives(text), { alternatives: [], complete: false }, text);
});

test("`alternativeLinks()` takes the highest priority of what is there, and replaces no file", () => {
  const one = (path: string, priority: number): Alternative => ({
    link: "/usr/bin/awk",
    name: "awk",
    path,
    priority,
    followers: [{ link: "/usr/bin/nawk", name: "nawk", path: `${path}-n` }],
  });
  const all = [one("/usr/bin/mawk", 5), one("/usr/bin/gawk", 10), one("/usr/bin/absent", 20), one("/usr/bin/late", 10)];
  const links = (...has: readonly string[]): readonly string[] =>
    alternativeLinks(all, (path) => has.includes(path)).map(({ path, target }) => `${path} ${target}`);
  assert.deepEqual(links("/usr/bin/mawk", "/usr/bin/gawk", "/usr/bin/late"), [
    "/etc/alternatives/awk /usr/bin/gawk",
    "/usr/bin/awk /etc/alternatives/awk",
  ]);
  assert.deepEqual(links("/usr/bin/mawk", "/usr/bin/mawk-n", "/usr/bin/awk"), [
    "/etc/alternatives/nawk /usr/bin/mawk-n",
    "/usr/bin/nawk /etc/alternatives/nawk",
  ]);
  assert.deepEqual(links(), []);
});
