import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { createSite } from "./support/bronze.ts";

const launcher = join(import.meta.dirname, "../bronze");

/** The command on a machine that systemd does not run, whatever runs this one. */
function withoutSystemd(args: readonly string[], state: string) {
  const hide = '[ ! -d /run/systemd ] || mount -t tmpfs none /run/systemd; exec "$@"';
  const words = ["--mount", "--propagation", "private", "sh", "-c", hide, "sh", launcher, ...args, "--state", state];
  return spawnSync("unshare", words, { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
}

test("the unit that `install --print` shows is one that systemd takes", { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bz-unit-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const state of ["plain", "with $x, 5 % and spaces"]) {
    const stateDir = join(folder, state);
    mkdirSync(stateDir);
    const printed = withoutSystemd(["install", "--print", "--json"], stateDir);
    assert.equal(printed.status, 0, printed.stderr);
    const { unit, text } = JSON.parse(printed.stdout) as { readonly unit: string; readonly text: string };
    assert.match(unit, /^bronze-[0-9a-f]{8}\.service$/);
    assert.equal(withoutSystemd(["install", "--print"], stateDir).stdout, text);
    const verify = (content: string) => {
      writeFileSync(join(folder, unit), content);
      return spawnSync("systemd-analyze", ["verify", "--man=no", join(folder, unit)], { encoding: "utf8" });
    };
    const verified = verify(text);
    assert.deepEqual([verified.status, verified.stderr], [0, ""]);
    // The verifier looks at what is started and at every line.
    assert.notEqual(verify(text.replace(/^ExecStart=\S+/m, "ExecStart=/nowhere/node")).status, 0);
    assert.match(verify(text.replace("KillMode=process", "KillMode=gently")).stderr, /kill mode/);
    t.diagnostic(`${unit}: verified, 2 damaged ones refused`);
  }
});

test("install ends with 11 where systemd does not run, and changes nothing", { timeout: 60_000 }, (t) => {
  const site = createSite(t);
  for (const args of [["install"], ["install", "--remove"], ["install", "--http-port", "8080"]]) {
    const { status, stderr } = withoutSystemd(args, site.state);
    assert.equal(status, 11, stderr);
    assert.match(stderr, /systemd does not run this machine[\s\S]*install --print/);
  }
});
