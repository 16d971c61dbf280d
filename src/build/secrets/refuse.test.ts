import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import type { BuildSettings } from "../../model/definition.ts";
import { createLocalStore, type LocalStore } from "../../store/local.ts";
import { buildArtifact } from "../build.ts";
import { newFolder } from "../exchange/image-fixture.suite.ts";
import { readImage } from "../image-state.ts";
import type { BuiltArtifact, SecretValue } from "../options.ts";

/** Made when the test runs: a scanner of this repository would find it too. */
const token = `ghp_${randomBytes(18).toString("hex")}`;

function build(
  files: Readonly<Record<string, string>>,
  options: { settings?: BuildSettings; secrets?: readonly SecretValue[]; store?: LocalStore; tagAs?: string } = {},
): Promise<BuiltArtifact> {
  const projectDir = newFolder();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(projectDir, path)), { recursive: true });
    writeFileSync(join(projectDir, path), text);
  }
  return buildArtifact(
    { kind: "dockerfile", path: "Dockerfile", ...options.settings },
    {
      projectDir,
      store: options.store ?? createLocalStore(newFolder()),
      cacheDir: newFolder(),
      report: () => undefined,
      signal: new AbortController().signal,
      secrets: options.secrets ?? [],
      tagAs: options.tagAs ?? "app:latest",
    },
  );
}

const refusal =
  (...lines: readonly string[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof OperatorError);
    assert.equal(error.code, "SECRET_FOUND", error.message);
    assert.equal(error.exitStatus, 10);
    assert.deepEqual(String(error.cause).split("\n"), lines);
    assert.ok(!JSON.stringify(error.toJSON()).includes(token), "the secret itself is told");
    return true;
  };

test("refuseSecrets() refuses a file by layer, instruction, path, line and rule, and nothing is published", async () => {
  const store = createLocalStore(newFolder());
  const dockerfile = "FROM scratch\nCOPY app /app\nCOPY conf /etc/app\n";
  await assert.rejects(
    build(
      { Dockerfile: dockerfile, "app/a.js": "run()", "conf/a": `one\ntoken=${token}\n`, "conf/.env": "\nA=b\n" },
      { store },
    ),
    refusal(
      "/etc/app/.env, line 2: an .env file with values (rule env-file; layer 2, COPY conf /etc/app)",
      "/etc/app/a, line 2: a GitHub token (rule github-token; layer 2, COPY conf /etc/app)",
    ),
  );
  assert.equal(await store.resolve("app:latest"), undefined);
});

test("refuseSecrets() refuses secrets in variables, labels and the history, and does not repeat them", async () => {
  const of = (lines: string): Record<string, string> => ({ Dockerfile: `FROM scratch\nCOPY a /a\n${lines}\n`, a: "" });
  await assert.rejects(build(of(`ENV TOKEN=${token}`)), refusal("ENV TOKEN: a GitHub token (rule github-token)"));
  await assert.rejects(build(of(`LABEL x=${token}`)), refusal("LABEL x: a GitHub token (rule github-token)"));
  await assert.rejects(
    build(of(`CMD ["/a", "--token", "${token}"]`)),
    refusal("HISTORY: a GitHub token (rule github-token; CMD …)"),
  );
});

test("refuseSecrets() refuses what was handed over as a build secret, however it is written down", async () => {
  const value = Buffer.from(randomBytes(20).toString("hex"));
  const encoded = Buffer.from(`user:${value.toString()}`).toString("base64");
  await assert.rejects(
    build({ Dockerfile: "FROM scratch\nCOPY a /a\n", a: `auth: ${encoded}\n` }, { secrets: [{ id: "npm", value }] }),
    refusal("/a, line 1: the value of a build secret (rule build-secret npm; layer 1, COPY a /a)"),
  );
});

test("refuseSecrets() takes a mark with its reason, keeps it in the artifact, and tells of one without use", async () => {
  const store = createLocalStore(newFolder());
  const files = { Dockerfile: "FROM scratch\nCOPY test /test\n", "test/token": token };
  const mark = { path: "/test/*", rule: "github-token", reason: "revoked, kept to test redaction" };
  const built = await build(files, { store, settings: { allowSecrets: [mark] } });
  const { manifest } = await readImage(store, built.digest);
  assert.deepEqual(JSON.parse(manifest.annotations["bronze.secrets.allowed"] ?? ""), [mark]);
  await assert.rejects(
    build(files, { settings: { allowSecrets: [{ ...mark, rule: "npm-token" }] } }),
    refusal("/test/token, line 1: a GitHub token (rule github-token; layer 1, COPY test /test)"),
  );
  await assert.rejects(
    build(files, { settings: { allowSecrets: [{ ...mark, rule: "github-tokens" }] } }),
    (error) =>
      error instanceof OperatorError && error.code === "DEFINITION_INVALID" && error.hint.includes("github-token"),
  );
  const clean = await build({ ...files, "test/token": "" }, { settings: { allowSecrets: [mark] } });
  assert.match(clean.warnings.join("\n"), /nothing at \/test\/\* breaks the rule github-token any more/);
});

test("refuseSecrets() warns of variables named like secrets, and leaves what the base has to its makers", async () => {
  const store = createLocalStore(newFolder());
  const base = await build(
    { Dockerfile: "FROM scratch\nCOPY t /base\nENV DB_PASSWORD=x TOKEN= KEY_ID=7\n", t: token },
    {
      store,
      tagAs: "base:latest",
      settings: { allowSecrets: [{ path: "/base", rule: "github-token", reason: "a test" }] },
    },
  );
  assert.deepEqual(
    base.warnings.filter((warning) => warning.startsWith("the variable")).map((warning) => warning.split(" ")[2]),
    ["DB_PASSWORD"],
  );
  const argument = await build({ Dockerfile: "FROM scratch\nARG API_TOKEN=x\nARG MODE=y\nCOPY a /a\n", a: "" });
  assert.match(argument.warnings.join("\n"), /the value of the build argument API_TOKEN is in the image's history/);
  assert.doesNotMatch(argument.warnings.join("\n"), /MODE/);
  const built = await build({ Dockerfile: "FROM base\nCOPY a /a\n", a: "" }, { store });
  assert.ok(!built.warnings.some((warning) => warning.includes("variable")));
});
