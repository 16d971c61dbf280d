import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import { mediaTypes } from "../../image/media-types.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { createLocalStore } from "../../store/local.ts";
import { createBuildCache } from "../cache.ts";
import { member, newFolder, tar } from "../exchange/image-fixture.suite.ts";
import { scanLayer } from "./scan-layer.ts";
import type { SecretValue } from "../options.ts";
import { scanText } from "./scanner.ts";

const signal = new AbortController().signal;

async function scan(
  sources: readonly TarSource[],
  values: readonly SecretValue[] = [],
  cache = createBuildCache(newFolder()),
): Promise<readonly string[]> {
  const store = createLocalStore(newFolder());
  const layer = { mediaType: mediaTypes.layer, ...(await store.write(tar(sources))) };
  const found = await scanLayer(store, layer, { cache, signal, values });
  return found.map(({ path, rule, line }) => `${path}:${line} ${rule}`).sort();
}

const pem = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** Secrets are made when the test runs: a scanner of this repository would find them too. */
const dashes = "-".repeat(5);
const random = (length: number, alphabet = letters): string =>
  Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join("");
const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

test("scanLayer() finds each kind of secret by file, line and rule", async () => {
  const secrets: readonly (readonly [rule: string, text: string])[] = [
    ["private-key", pem.privateKey],
    ["private-key", JSON.stringify({ private_key: pem.privateKey })],
    ["private-key", `-----BEGIN OPENSSH PRIVATE KEY${dashes}\n${random(70)}\n${random(70)}\n`],
    [
      "private-key",
      `-----BEGIN RSA PRIVATE KEY${dashes}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n${random(64)}\n`,
    ],
    ["private-key", `-----BEGIN PGP PRIVATE KEY BLOCK${dashes}\nVersion: 1\n\n${random(64)}\n${random(64)}\n`],
    ["putty-key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"],
    ["age-key", `AGE-SECRET-KEY-1${random(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")}`],
    ["aws-access-key", `id = AKIA${random(16, upper)}`],
    ["aws-secret-key", `aws_secret_access_key = ${random(40)}`],
    ["aws-secret-key", `"AWS_SECRET_ACCESS_KEY": "${random(40)}"`],
    ["github-token", `token: ghp_${random(36)}`],
    ["github-token", `github_pat_${random(22)}_${random(59)}`],
    ["gitlab-token", `glpat-${random(20)}`],
    ["slack-token", `xoxb-123456789012-123456789012-${random(24)}`],
    ["stripe-key", `sk_live_${random(24)}`],
    ["npm-token", `"npm_${random(36)}"`],
    ["google-api-key", `AIza${random(35)}`],
  ];
  const sources = secrets.map(([, text], index) =>
    member(`app/${String(index).padStart(2, "0")}`, `one\ntwo\n${text}\n`),
  );
  assert.deepEqual(
    await scan(sources),
    secrets.map(([rule], index) => `app/${String(index).padStart(2, "0")}:3 ${rule}`),
  );
});

test("scanLayer() finds a key that is behind mere mentions of keys, and comes to an end with a file of nothing else", async () => {
  const mention = `"-----BEGIN PRIVATE KEY${dashes}", `;
  assert.deepEqual(await scan([member("app/a", `${mention.repeat(3)}\n${pem.privateKey}`)]), ["app/a:2 private-key"]);
  const flood = member("app/flood", "-----BEGIN PRIVATE KEY-----".repeat(200_000));
  assert.deepEqual(await scan([flood, member("app/b", pem.privateKey)]), ["app/b:1 private-key"]);
});

test("scanLayer() takes no placeholder, public key, documentation or mere mention for a secret", async () => {
  const harmless = [
    pem.publicKey,
    `if (text.includes("-----BEGIN PRIVATE KEY${dashes}")) throw new Error("no -----END PRIVATE KEY${dashes}");`,
    `-----BEGIN RSA PRIVATE KEY${dashes}\n${"x".repeat(64)}\n-----END RSA PRIVATE KEY${dashes}`,
    `AKIAIOSFODNN7EXAMPLE AKIA${random(40, upper)}`,
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    `ghp_${"x".repeat(36)} my_ghp_${random(40)} npm_config_registry npm_lifecycle_event sk_test_${random(24)}`,
  ];
  assert.deepEqual(await scan(harmless.map((text, index) => member(`app/${index}`, text))), []);
});

test("scanLayer() knows files that hold secrets by their purpose, and those that only look so", async () => {
  const files: readonly (readonly [path: string, text: string, rule: string | null])[] = [
    [".env", "# mine\nDB_PASSWORD=hunter2\n", "env-file"],
    [".env.production", 'export KEY="v"\n', "env-file"],
    [".env.example", "DB_PASSWORD=hunter2\n", null],
    [".env.local.sample", "A=b\n", null],
    [".env.empty", "A=\nB=''\n# C=d\nD=$OTHER\n", null],
    [".kamal/secrets", "A=$(op read x)\n", null],
    [".kamal/secrets.production", "A=b\n", "env-file"],
    [".npmrc", "registry=https://r.example/\n//r.example/:_authToken=abcdef\n", "npm-credentials"],
    ["web/.npmrc", "//r.example/:_authToken=${NPM_TOKEN}\n", null],
    [".netrc", "machine m login l password p\n", "netrc-credentials"],
    [".git-credentials", "https://me:pass@git.example\n", "git-credentials"],
    [".docker/config.json", '{"auths":{"r.example":{"auth":"bWU6cA=="}}}', "docker-credentials"],
    ["config.json", '{"auth":"x"}', null],
    [".kube/config", "users:\n- user:\n    token: abc\n", "kube-credentials"],
    [".pypirc", "[pypi]\npassword = x\n", "pypi-credentials"],
    ["config/master.key", "0123456789abcdef0123456789abcdef", "rails-key"],
  ];
  assert.deepEqual(
    (await scan(files.map(([path, text]) => member(`app/${path}`, text))))
      .map((row) => row.replace(/:\d+ /, " "))
      .sort(),
    files.flatMap(([path, , rule]) => (rule === null ? [] : `app/${path} ${rule}`)).sort(),
  );
});

test("scanLayer() leaves keys that published packages test with, not those of the project", async () => {
  const key = (path: string): TarSource => member(path, pem.privateKey);
  assert.deepEqual(
    await scan([
      key("app/node_modules/agent/test/key.pem"),
      key("app/node_modules/agent/README.md"),
      key("app/node_modules/agent/lib/key.pem"),
      key("app/test/key.pem"),
      key("usr/lib/python3/dist-packages/tornado/test/test.key"),
      key("etc/ssl/private/ssl-cert-snakeoil.key"),
    ]),
    ["app/node_modules/agent/lib/key.pem:1 private-key", "app/test/key.pem:1 private-key"],
  );
});

test("scanLayer() finds a value of the build's secrets as it is and as programs write it down", async () => {
  const value = Buffer.from(`s3cr3t/${random(20)}+x`);
  const values = [{ id: "token", value }];
  const written = [
    value.toString(),
    value.toString("hex"),
    value.toString("base64"),
    Buffer.from(`user:${value.toString()}`).toString("base64"),
    Buffer.from(`me:${value.toString()}!`).toString("base64"),
    encodeURIComponent(value.toString()),
  ];
  const cache = createBuildCache(newFolder());
  const sources = written.map((text, index) => member(`app/${index}`, `\n${text}`));
  const expected = written.map((_, index) => `app/${index}:2 build-secret token`);
  assert.deepEqual(await scan(sources, [], cache), []);
  assert.deepEqual(await scan(sources, values, cache), expected);
  assert.deepEqual(await scan(sources, [{ id: "other", value: Buffer.from(random(30)) }], cache), []);
  const long = Buffer.from(`${random(3000)}\n`);
  assert.deepEqual(await scan([member("a", long)], [{ id: "long", value: long }]), ["a:1 build-secret long"]);
});

test("scanLayer() finds a secret wherever it lies in a large file, and in the last bytes", async () => {
  const token = `ghp_${random(36)}`;
  for (const before of [0, (1 << 20) - 20, (1 << 20) - 512, (1 << 20) - 3, (1 << 20) * 2 + 37, 3_000_000]) {
    const bytes = Buffer.concat([Buffer.alloc(before, "\n"), Buffer.from(token)]);
    assert.deepEqual(await scan([member("first", "x"), member("large", bytes), member("next", "y")]), [
      `large:${before + 1} github-token`,
    ]);
    const inside = Buffer.concat([bytes, Buffer.alloc(700_000)]);
    assert.deepEqual(await scan([member("large", inside)]), [`large:${before + 1} github-token`], String(before));
  }
  const half = Buffer.alloc((1 << 20) - 4);
  assert.deepEqual(await scan([member("a", Buffer.concat([half, Buffer.from("ghp_")])), member("b", random(36))]), []);
});

test("scanText() names the rules that a short text breaks", () => {
  assert.deepEqual(scanText(`RUN curl -H "token: ghp_${random(36)}"`, []), ["github-token"]);
  assert.deepEqual(scanText("RUN echo hunter2hunter2", [{ id: "db", value: Buffer.from("hunter2hunter2") }]), [
    "build-secret db",
  ]);
  assert.deepEqual(scanText("RUN npm ci", [{ id: "short", value: Buffer.from("npm") }]), []);
});
