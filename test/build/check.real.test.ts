import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createSite, eventually, type Site } from "../support/bronze.ts";

interface Checked {
  readonly digest: string;
  readonly varied: readonly string[];
}

interface Difference {
  readonly layer: number;
  readonly createdBy: string;
  readonly path: string;
  readonly field: string;
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
  site.write({
    Dockerfile:
      'FROM scratch\nCOPY root/ /\nRUN ["/bin/busybox", "sh", "-c", "echo $TZ $HOSTNAME > /place; umask >> /place"]\n',
  });
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

test("`bronze build --check` names layer, instruction, file and byte of what a step writes differently", async (t) => {
  const site = createProject(t);
  const busybox = "/bin/busybox";
  const steps = ["echo same > /same", "date +%s > /built", "head -c 64 /dev/urandom > /random", "mkdir /empty"];
  site.write({
    Dockerfile: [
      "FROM scratch",
      "COPY root/ /",
      `SHELL ["${busybox}", "sh", "-c"]`,
      `RUN ${steps.map((step) => `${busybox} ${step}`).join("; ")}`,
      "",
    ].join("\n"),
  });
  const { status, stdout, stderr } = await site.bronze(["build", "--check", "--json"]);
  assert.equal(status, 7, stderr);
  const { error } = JSON.parse(stdout) as {
    error: { code: string; details: { count: number; differences: Difference[] } };
  };
  assert.equal(error.code, "NOT_REPRODUCIBLE");
  assert.equal(error.details.count, 2);
  assert.deepEqual(
    error.details.differences.map(({ layer, path, field }) => [layer, path, field]),
    [
      [2, "built", "content"],
      [2, "random", "content"],
    ],
  );
  assert.match(error.details.differences[0]?.createdBy ?? "", /^RUN .*date/);
  assert.match(stderr, /cause: layer 2 \(RUN .*\), \/built: content at byte \d+, line 1/);
  assert.deepEqual(leftovers(site), []);
  assert.equal((await site.bronze(["deploy"])).status, 4, "what differs is not in the store");
});

test("`bronze build --check` that was killed leaves what the next one removes", async (t) => {
  const site = createProject(t);
  const dead = "999999999-1";
  const places = [join(site.state, "check", dead), join("/dev/shm/bronze-check", dead)];
  for (const place of places) mkdirSync(join(place, "1"), { recursive: true });
  assert.equal((await site.bronze(["build", "--check"])).status, 0);
  assert.deepEqual(
    places.filter((place) => existsSync(place)),
    [],
  );
  const [inState = ""] = places;
  mkdirSync(inState, { recursive: true });
  await site.bronze(["down", "--all"]);
  assert.ok(!existsSync(inState), "down --all removes it too");
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
