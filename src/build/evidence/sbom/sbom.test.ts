import assert from "node:assert/strict";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, test } from "node:test";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import spdx from "spdx-license-ids/index.json" with { type: "json" };
import { mediaTypes } from "../../../image/media-types.ts";
import type { TarEntry } from "../../../image/tar-entry.ts";
import { writeTar } from "../../../image/tar-write.ts";
import { canonicalJson, sha256, type Json } from "../../../model/canonical.ts";
import type { StepLayer } from "../../../ports/step-runner.ts";
import { createLocalStore } from "../../../store/local.ts";
import { createBuildCache } from "../../cache.ts";
import { licenceChoices } from "./licences.ts";
import { billOf } from "./sbom.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-sbom-"));
  folders.push(dir);
  return dir;
}

type Bill = { readonly [name: string]: Json };

interface Listed {
  readonly type: string;
  readonly name: string;
  readonly group?: string;
  readonly version?: string;
  readonly purl?: string;
  readonly licenses?: unknown;
  readonly hashes?: readonly { readonly content: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** A member: a text, or what a symlink or hard link says. */
type Member = string | Buffer | { readonly kind: "symlink" | "hardlink"; readonly target: string };

/** Layers and what is told of them, with a cache that all share. */
function createImages() {
  const store = createLocalStore(newFolder());
  const cache = createBuildCache(newFolder());
  const { signal } = new AbortController();
  return {
    cache,
    async layer(files: Readonly<Record<string, Member>>): Promise<StepLayer> {
      const sources = Object.entries(files)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([path, member]) => {
          const isFile = typeof member === "string" || Buffer.isBuffer(member);
          const bytes = isFile ? Buffer.from(member as string) : Buffer.alloc(0);
          const entry: TarEntry = {
            path,
            kind: isFile ? "file" : member.kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: bytes.byteLength,
            target: isFile ? "" : member.target,
          };
          return { entry, content: () => [bytes] };
        });
      const { digest, size } = await store.write(writeTar(sources));
      return { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: digest };
    },
    async bill(layers: readonly StepLayer[], own = cache): Promise<Bill> {
      const text = await billOf(layers, { blobs: store, cache: own, signal, name: "shop", tools: { bronze: "1" } });
      const bill = JSON.parse(text) as Bill;
      assert.equal(text, canonicalJson(bill));
      return bill;
    },
  };
}

function components(bill: Bill): readonly Listed[] {
  return bill["components"] as unknown as readonly Listed[];
}

const purls = (bill: Bill): readonly string[] => components(bill).flatMap(({ purl }) => purl ?? []);
const files = (bill: Bill): readonly string[] =>
  components(bill).flatMap(({ type, name }) => (type === "file" ? name : []));

const status = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u9

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: bash
Status: install ok installed
Architecture: amd64
Version: 1:5.2.15-2+b7
Source: bash (1:5.2.15-2)
`;

const debian = {
  "etc/os-release": 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian"\n',
  "var/lib/dpkg/status": status,
  "var/lib/dpkg/info/bash.list": "/.\n/bin\n/bin/bash\n/etc/bash.bashrc\n",
  "var/lib/dpkg/info/libc6.list": "/.\n/lib/x86_64-linux-gnu/libc.so.6\n",
  "usr/bin/bash": "bash",
  "usr/lib/x86_64-linux-gnu/libc.so.6": "libc",
  "etc/bash.bashrc": "rc",
  "usr/local/bin/own": "own",
  "usr/share/doc/bash/copyright":
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-3+\n\nFiles: x\nLicense: Expat or public-domain\n",
  "usr/share/doc/libc6/copyright": "This is the GNU C library, in free words. License: GPL-2\n",
};

test("`billOf()` lists Debian packages with their sources, release and licences, and files that no package has", async () => {
  const images = createImages();
  const bill = await images.bill([await images.layer(debian)]);
  validate(bill);
  assert.deepEqual(purls(bill), [
    "pkg:deb/debian/bash@1%3A5.2.15-2%2Bb7?arch=amd64&distro=bookworm&upstream=bash%401%3A5.2.15-2",
    "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=bookworm&upstream=glibc",
  ]);
  assert.deepEqual(files(bill), ["/usr/local/bin/own"]);
  const [bash, libc, own] = components(bill);
  assert.deepEqual(bash?.licenses, [
    { license: { id: "GPL-3.0-or-later" } },
    { license: { id: "MIT" } },
    { license: { name: "public-domain" } },
  ]);
  assert.equal(libc?.licenses, undefined);
  assert.deepEqual(libc?.properties, [
    { name: "bronze:source:name", value: "glibc" },
    { name: "bronze:source:version", value: "2.36-9+deb12u9" },
  ]);
  assert.equal(own?.hashes?.[0]?.content, sha256("own").slice(7));
});

test("`billOf()` reads status.d, node_modules, lock files and what pip installed", async () => {
  const images = createImages();
  const bill = await images.bill([
    await images.layer({
      "var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2024b-0\nArchitecture: all\n",
      "var/lib/dpkg/status.d/tzdata.md5sums": `${"0".repeat(32)}  usr/share/zoneinfo/UTC\n`,
      "usr/share/zoneinfo/UTC": "utc",
      "app/package.json": '{"name":"shop","version":"1.0.0"}',
      "app/server.js": "serve()",
      "app/node_modules/@acme/left/package.json":
        '{"name":"@acme/left","version":"1.2.3","license":"(MIT OR Apache-2.0)"}',
      "app/node_modules/@acme/left/index.js": "left",
      "app/node_modules/right/package.json": '{"name":"right","version":"2.0.0-rc.1+x","license":{"type":"ISC"}}',
      "app/package-lock.json": JSON.stringify({
        lockfileVersion: 3,
        packages: {
          "": { name: "shop" },
          "node_modules/right": { version: "2.0.0-rc.1+x" },
          "node_modules/bundled": { version: "3.0.0", license: "MIT" },
          "node_modules/only-dev": { version: "4.0.0", dev: true },
          "node_modules/linked": { link: true },
        },
      }),
      "usr/lib/python3/dist-packages/Flask_Thing-1.0.dist-info/METADATA":
        "Metadata-Version: 2.1\nName: Flask_Thing\nVersion: 1.0\nLicense: BSD-3-Clause\n\nName: not this\n",
      "usr/lib/python3/dist-packages/Flask_Thing-1.0.dist-info/RECORD":
        "flask_thing/__init__.py,sha256=x,1\n../../../bin/x,,\n",
      "usr/lib/python3/dist-packages/flask_thing/__init__.py": "import",
    }),
  ]);
  validate(bill);
  assert.deepEqual(purls(bill), [
    "pkg:deb/debian/tzdata@2024b-0?arch=all",
    "pkg:npm/%40acme/left@1.2.3",
    "pkg:npm/bundled@3.0.0",
    "pkg:npm/right@2.0.0-rc.1%2Bx",
    "pkg:pypi/flask-thing@1.0",
  ]);
  const left = components(bill).find(({ group }) => group === "@acme");
  assert.deepEqual([left?.name, left?.licenses], ["left", [{ expression: "(MIT OR Apache-2.0)" }]]);
  const bundled = components(bill).find(({ name }) => name === "bundled");
  assert.deepEqual(bundled?.properties, [{ name: "bronze:found", value: "lock file only" }]);
  assert.deepEqual(files(bill), ["/app/package-lock.json", "/app/package.json", "/app/server.js"]);
});

test("`billOf()` joins layers: what is taken away or replaced is not told, files of packages of any layer are not nobody's", async () => {
  const images = createImages();
  const base = await images.layer({ ...debian, "app/node_modules/a/package.json": '{"name":"a","version":"1.0.0"}' });
  const middle = await images.layer({
    "app/node_modules/.wh.a": "",
    "app/node_modules/b/package.json": '{"name":"b","version":"1.0.0"}',
    "usr/local/bin/.wh.own": "",
    "etc/bash.bashrc": "changed",
    "srv/one": "1",
  });
  const top = await images.layer({ "srv/.wh..wh..opq": "", "srv/two": "2", "app/node_modules/b/x.js": "x" });
  const both = await images.bill([base, middle]);
  assert.deepEqual(
    purls(both).filter((purl) => purl.startsWith("pkg:npm")),
    ["pkg:npm/b@1.0.0"],
  );
  assert.deepEqual(files(both), ["/srv/one"]);
  const all = await images.bill([base, middle, top]);
  assert.deepEqual(files(all), ["/srv/two"]);
  validate(all);
  // What is remembered says the same as what is read anew, in another order.
  const anew = await images.bill([base, middle, top], createBuildCache(newFolder()));
  assert.equal(canonicalJson(anew), canonicalJson(all));
});

test("`billOf()` says of a layer put over remembered ones what it says when it looks at all of them", async () => {
  const images = createImages();
  const base = await images.layer(debian);
  const lock = JSON.stringify({ packages: { "node_modules/a": { version: "1.0.0" } } });
  const installed = await images.layer({
    "app/package-lock.json": lock,
    "app/node_modules/a/package.json": '{"name":"a","version":"1.0.0","license":"MIT"}',
  });
  for (const top of [
    { "app/src/a.js": "a", "app/src/b.js": "b", "app/package-lock.json": lock },
    { "app/src/a.js": "changed", "etc/bash.bashrc": "changed", "usr/bin/more": "more" },
    {
      "app/node_modules/a/x.js": "x",
      "app/node_modules/a/package.json": '{"name":"a","version":"1.0.0","license":"MIT"}',
    },
    { "app/node_modules/a/package.json": '{"name":"a","version":"2.0.0"}' },
    { "app/node_modules/a/package.json": "no longer one" },
    { "app/package-lock.json": "{}" },
    { "var/lib/dpkg/status": "Package: only\nVersion: 1\nStatus: install ok installed\n" },
    { "var/lib/dpkg/info/more.list": "/usr/local/bin/own\n" },
    { "app/.wh.node_modules": "", "app/b.js": "b" },
  ]) {
    const layers = [base, installed, await images.layer(top)];
    await images.bill([...layers.slice(0, 2), await images.layer({ "any/file": "x" })]);
    const quick = await images.bill(layers);
    const whole = await images.bill(layers, createBuildCache(newFolder()));
    assert.deepEqual(quick, whole, JSON.stringify(top));
    validate(quick);
  }
});

test("`billOf()` is not misled by what is too large, damaged, or leads elsewhere", async () => {
  const images = createImages();
  const large = Buffer.alloc(100 * 2 ** 20, 0x20);
  large.write('{"name":"large","version":"1.0.0"}');
  const bill = await images.bill([
    await images.layer({
      "app/node_modules/large/package.json": large,
      "app/node_modules/bad/package.json": "{",
      "app/node_modules/odd/package.json": '{"name":"../../etc","version":"1"}',
      "app/node_modules/null/package.json": "null",
      "app/node_modules/link/package.json": { kind: "symlink", target: "../../../../etc/passwd" },
      "app/x.dist-info/METADATA": { kind: "symlink", target: "../../../etc/shadow" },
      "app/y.dist-info/METADATA": "Name: y\n",
      "app/z.dist-info/RECORD": "../../../etc/passwd,,\n/etc/shadow,,\n",
      "var/lib/dpkg/status": `${"Package: a\nSource: a (1)\nDepends: b\nVersion: 1\nStatus: install ok installed\n\nPackage: b\nDepends: a\nVersion: 1\nStatus: install ok installed\n\n".repeat(2000)}Package: ../x\nVersion: 1\n`,
      "etc/os-release": "ID=$(reboot)\n",
      "app/package-lock.json": '{"packages":[]}',
      "zzz/w.dist-info/METADATA": { kind: "hardlink", target: "app/a.dist-info/METADATA" },
      "app/a.dist-info/METADATA": "Name: named-twice\nVersion: 1\n",
    }),
  ]);
  validate(bill);
  assert.deepEqual(purls(bill), ["pkg:deb/debian/a@1", "pkg:deb/debian/b@1", "pkg:pypi/named-twice@1"]);
  const said = (bill["metadata"] as { properties: { name: string; value: string }[] }).properties;
  assert.deepEqual(
    said.filter(({ name }) => name === "bronze:unread").map(({ value }) => value),
    [
      "app/node_modules/bad/package.json",
      "app/node_modules/large/package.json",
      "app/node_modules/null/package.json",
      "app/node_modules/odd/package.json",
      "app/y.dist-info/METADATA",
      "etc/os-release",
    ],
  );
});

test("`billOf()` lists so many files of nobody and counts the rest", async () => {
  const images = createImages();
  const many = Object.fromEntries(Array.from({ length: 25_000 }, (_, n) => [`d/${String(n).padStart(5, "0")}`, "x"]));
  const bill = await images.bill([await images.layer(many)]);
  assert.equal(files(bill).length, 5000);
  assert.deepEqual((bill["metadata"] as { properties: unknown }).properties, [
    { name: "bronze:files:unowned", value: "25000" },
    { name: "bronze:files:unlisted", value: "20000" },
  ]);
});

test("`licenceChoices()` gives only ids that CycloneDX 1.6 knows", () => {
  const known = new Set(
    (JSON.parse(readFileSync(join(schemas, "spdx.SNAPSHOT.schema.json"), "utf8")) as { enum: string[] }).enum,
  );
  for (const id of spdx) {
    const [choice] = licenceChoices([id]) as readonly { license: { id?: string; name?: string } }[];
    assert.ok(choice?.license.id === undefined || known.has(choice.license.id), id);
  }
  for (const [name, id] of [
    ["GPL-2", "GPL-2.0-only"],
    ["GPL-2+", "GPL-2.0-or-later"],
    ["LGPL-2.1+", "LGPL-2.1-or-later"],
    ["AGPL-3", "AGPL-3.0-only"],
    ["Apache-2", "Apache-2.0"],
    ["bsd-3-clause", "BSD-3-Clause"],
    ["Expat", "MIT"],
  ] as const)
    assert.deepEqual(licenceChoices([name]), [{ license: { id } }], name);
  assert.deepEqual(licenceChoices(["custom words"]), [{ license: { name: "custom words" } }]);
  assert.deepEqual(licenceChoices(["MIT AND nonsense"]), [{ license: { name: "MIT AND nonsense" } }]);
});

const schemas = join(
  dirname(createRequire(import.meta.url).resolve("@cyclonedx/cyclonedx-library/package.json")),
  "res/schema",
);

let check: ReturnType<Ajv["compile"]> | undefined;

/** Holds a bill against the official schema. */
function validate(bill: Bill): void {
  if (check === undefined) {
    const ajv = new Ajv({ strict: false, allErrors: false });
    addFormats.default(ajv);
    ajv.addFormat("idn-email", /^[^@\s]+@[^@\s]+$/);
    ajv.addFormat("iri-reference", (text) => URL.canParse(text, "https://base.example/"));
    const read = (name: string): object =>
      JSON.parse(readFileSync(join(schemas, `${name}.SNAPSHOT.schema.json`), "utf8")) as object;
    for (const name of ["spdx", "jsf-0.82", "cryptography-defs"]) {
      const schema = read(name);
      // Ids of its own stand in the main schema by file name.
      ajv.addSchema(schema, `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
    }
    check = ajv.compile(read("bom-1.6"));
  }
  assert.ok(check(bill), JSON.stringify(check.errors?.slice(0, 3)));
}
