import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createSite, eventually, type Site } from "./support/bronze.ts";

interface Checked {
  readonly digest: string;
  readonly varied: readonly string[];
}

function createProject(t: TestContext): Site {
  const site = createSite(t);
  const git = (...args: readonly string[]): void => {
    const options = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    execFileSync("git", ["-C", site.project, ...options, ...args], { stdio: "ignore" });
  };
  site.write({ "root/run.sh": "#!/bin/busybox sh\n" }, 0o755);
  symlinkSync("run.sh", join(site.project, "root/link"));
  git("init");
  git("add", ".");
  git("commit", "-m", "first");
  return site;
}

function leftovers({ state }: Site): readonly string[] {
  return existsSync(join(state, "check")) ? readdirSync(join(state, "check")) : [];
}

test("`bronze build --check` builds twice as on two machines, gives the digest of a plain build, and leaves nothing", async (t) => {
  const site = createProject(t);
  const checked = await site.json<Checked>(["build", "--check"]);
  assert.equal(checked.varied.length, 7);
  assert.match(checked.varied.join(), /time zone .*umask 077.*host name elsewhere.*one CPU/);
  assert.deepEqual(leftovers(site), []);
  const built = await site.json<{ digest: string; cached: boolean }>(["build"]);
  assert.deepEqual([built.digest, built.cached], [checked.digest, true]);
  const text = await site.bronze(["build", "--check"]);
  assert.equal(text.stdout, `${checked.digest}\n`);
  assert.match(text.stderr, /the same bytes twice; different were: another folder/);
});

test("`bronze build --check` that is interrupted ends with 130 and leaves nothing", async (t) => {
  const site = createProject(t);
  const controller = new AbortController();
  const running = site.bronze(["build", "--check"], { signal: controller.signal });
  await eventually("the second build is under way", () => leftovers(site).length > 0);
  controller.abort();
  assert.equal((await running).status, 130);
  assert.deepEqual(leftovers(site), []);
});
