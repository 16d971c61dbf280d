import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSite, launcher } from "../support/bronze.ts";

interface Clone {
  readonly project: string;
  readonly store: string;
  readonly home: string;
  readonly git: (...args: readonly string[]) => string;
  /** Runs the bare `bronze build`; whether the launcher answered it. */
  readonly build: (env?: Readonly<Record<string, string>>) => { readonly digest: string; readonly byLauncher: boolean };
  readonly look: (env?: Readonly<Record<string, string>>) => string;
}

function clone(t: TestContext): Clone {
  const { state, project } = createSite(t);
  // Nothing of this machine's git is to matter.
  const home = join(state, "../home");
  mkdirSync(home);
  const own: NodeJS.ProcessEnv = { ...process.env, HOME: home, BRONZE_STATE: state, NO_COLOR: "1" };
  delete own["XDG_CONFIG_HOME"];
  for (const name of Object.keys(own)) if (name.startsWith("GIT_") || name === "SOURCE_DATE_EPOCH") delete own[name];
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-C", project, "-c", "user.name=t", "-c", "user.email=t@example.org", ...args], {
      env: own,
      encoding: "utf8",
    });
  git("init", "--quiet");
  git("add", "--all");
  git("commit", "--quiet", "--message", "first");
  return {
    project,
    home,
    store: join(state, "store"),
    git,
    build(env = {}) {
      const said = join(state, "..", "said");
      const digest = execFileSync("sh", ["-c", 'exec "$0" build 2>"$1"', launcher, said], {
        cwd: project,
        env: { ...own, ...env },
        encoding: "utf8",
      });
      return { digest: digest.trim(), byLauncher: /everything looks as it did/.test(readFileSync(said, "utf8")) };
    },
    look: (env = {}) => {
      const script = join(launcher, "../scripts/unchanged.sh");
      return execFileSync("sh", ["-c", 'sh "$0" "$1" || true', script, project], {
        env: { ...own, ...env },
        encoding: "utf8",
      });
    },
  };
}

test("the launcher answers `bronze build` as long as nothing changed, and leaves every change to the command", async (t) => {
  const { project, store, git, build } = clone(t);
  /** Builds until the launcher answers: files that changed just now are not trusted to look different after a change. */
  const settled = async (): Promise<string> => {
    for (let builds = 0; builds < 100; builds += 1) {
      const { digest, byLauncher } = build();
      if (byLauncher) return digest;
      await sleep(500);
    }
    throw new Error("the launcher leaves every build to the command");
  };
  const first = await settled();

  const other = { SOURCE_DATE_EPOCH: "1" };
  assert.equal(build(other).byLauncher, false);
  assert.notEqual(build(other).digest, first);

  const tag = join(store, "tags", "shop%3Alatest");
  chmodSync(tag, 0o644);
  writeFileSync(tag, `sha256:${"0".repeat(64)}\n`);
  assert.deepEqual(build(), { digest: first, byLauncher: false });
  assert.equal(readFileSync(tag, "utf8").trim(), first);
  assert.equal(await settled(), first);

  rmSync(join(store, "blobs/sha256", first.slice("sha256:".length)));
  assert.deepEqual(build(), { digest: first, byLauncher: false });
  assert.equal(await settled(), first);

  // A release wants what is said about it.
  const evidence = join(store, "referrers", first.slice("sha256:".length));
  const said = readdirSync(evidence).length;
  rmSync(evidence, { recursive: true });
  assert.deepEqual(build(), { digest: first, byLauncher: false });
  assert.equal(readdirSync(evidence).length, said);
  assert.equal(await settled(), first);

  const page = join(project, "root/www/index.html");
  const before = statSync(page);
  writeFileSync(page, "v2\n");
  utimesSync(page, before.atime, before.mtime);
  const second = build();
  assert.equal(second.byLauncher, false);
  assert.notEqual(second.digest, first);

  git("commit", "--quiet", "--all", "--message", "second");
  const third = build();
  assert.equal(third.byLauncher, false);
  assert.notEqual(third.digest, second.digest);
  assert.equal(await settled(), third.digest);
});

test("the launcher sees what was changed, made, taken away, renamed, allowed, staged and committed", (t) => {
  const { project, home, git, look } = clone(t);
  mkdirSync(join(project, "sub/deep"), { recursive: true });
  writeFileSync(join(project, "sub/deep/file"), "a");
  const changes: Readonly<Record<string, () => unknown>> = {
    "other bytes of the same size at the same time": () => {
      const path = join(project, "sub/deep/file");
      const { atime, mtime } = statSync(path);
      writeFileSync(path, "b");
      utimesSync(path, atime, mtime);
    },
    "a new file": () => writeFileSync(join(project, "sub/deep/new"), ""),
    "another name": () => renameSync(join(project, "sub/deep/new"), join(project, "sub/deep/newer")),
    "a file less": () => rmSync(join(project, "sub/deep/newer")),
    "another mode": () => chmodSync(join(project, "sub/deep/file"), 0o700),
    "a new rule of what is ignored": () => writeFileSync(join(project, ".dockerignore"), "sub\n"),
    "what is staged": () => git("add", "--all"),
    "a commit": () => git("commit", "--quiet", "--message", "next"),
    "a commit of nothing": () => git("commit", "--quiet", "--allow-empty", "--message", "empty"),
    "another branch at the same commit": () => git("checkout", "--quiet", "-b", "other"),
    "git's own rule of what is ignored": () => appendFileSync(join(project, ".git/info/exclude"), "x\n"),
    "git's configuration": () => git("config", "core.fileMode", "false"),
    "the user's configuration of git": () => writeFileSync(join(home, ".gitconfig"), "[core]\n"),
  };
  for (const [what, change] of Object.entries(changes)) {
    const before = look();
    change();
    assert.notEqual(look(), before, what);
    assert.equal(look(), look(), `${what}: no further change`);
  }
  assert.equal(look({ GIT_DIR: "/nowhere" }), "");
  assert.equal(look({ SOURCE_DATE_EPOCH: "1" }), "");
});
