import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { test, type TestContext } from "node:test";
import { createSite, type Site } from "../support/bronze.ts";

const token = `s3cret-${randomBytes(12).toString("hex")}`;

function createProject(t: TestContext, steps: readonly string[]): Site {
  const site = createSite(t);
  const run = steps.map(
    (step) => `RUN --mount=type=secret,id=token ["/bin/busybox", "sh", "-c", ${JSON.stringify(step)}]`,
  );
  site.write({ Dockerfile: ["FROM scratch", "COPY root/ /", ...run, ""].join("\n") });
  return site;
}

const build = (site: Site, ...more: readonly string[]): ReturnType<Site["bronze"]> =>
  site.bronze(["build", "--secret", "id=token,env=TOKEN", "--progress", "plain", ...more], { env: { TOKEN: token } });

function holdsToken(folder: string): boolean {
  try {
    execFileSync("grep", ["--recursive", "--quiet", "--binary-files=text", "--fixed-strings", token, folder]);
    return true;
  } catch {
    return false;
  }
}

test("A step uses a build secret, and it is in no layer, no log and nowhere in the state folder", async (t) => {
  const site = createProject(t, [
    "/bin/busybox cat /run/secrets/token; /bin/busybox sha256sum /run/secrets/token > /sum",
  ]);
  const { status, stdout, stderr } = await build(site);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /\[redacted\]/);
  assert.ok(!`${stdout}${stderr}`.includes(token), "the secret is in what the build says");
  assert.ok(!holdsToken(site.state), "the secret is in the state folder");
});

test("A step that leaves a build secret, as it is or in base64, is refused by layer, path and rule", async (t) => {
  const site = createProject(t, [
    "/bin/busybox cp /run/secrets/token /etc-token",
    "/bin/busybox printf 'user:%s' $(/bin/busybox cat /run/secrets/token) | /bin/busybox base64 > /basic-auth",
  ]);
  const { status, stdout } = await build(site, "--json");
  assert.equal(status, 10);
  const { error } = JSON.parse(stdout) as {
    error: { code: string; details: { secrets: readonly Record<string, unknown>[] } };
  };
  assert.equal(error.code, "SECRET_FOUND");
  assert.deepEqual(
    error.details.secrets.map(({ path, rule, line, layer }) => [path, rule, line, layer]),
    [
      ["/etc-token", "build-secret token", 1, 2],
      ["/basic-auth", "build-secret token", 1, 3],
    ],
  );
  assert.ok(!stdout.includes(token));
  assert.equal((await site.bronze(["deploy"])).status, 4, "nothing was published");
});
