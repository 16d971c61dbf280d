import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { launcher } from "../support/bronze.ts";

/** More in one folder than a call takes arguments. */
const inOneFolder = 300_000;
const folders = 20;
const inEach = 10_000;
const mostMebibytes = 768;

test("`bronze build` takes a project of 500,000 files, in bounded memory", { timeout: 600_000 }, async (t) => {
  const place = mkdtempSync(join(tmpdir(), "bz-many-"));
  // In memory: making and removing half a million files on a disk takes longer than the test.
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=6g,nr_inodes=600k", "tmpfs", place]);
  t.after(() => {
    execFileSync("umount", [place]);
    rmSync(place, { recursive: true, force: true });
  });
  const project = join(place, "project");
  const state = join(place, "state");
  fill(join(project, "flat"), inOneFolder);
  for (let i = 0; i < folders; i += 1) fill(join(project, "deep", String(i), "folder"), inEach);
  writeFileSync(join(project, "Dockerfile"), 'FROM scratch\nCOPY . /app/\nCMD ["/app/x"]\n');
  writeFileSync(join(project, "bronze.yaml"), "app: many\nbuild: { dockerfile: Dockerfile }\nrun: { port: 8080 }\n");

  const first = await build(project, state);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stdout, /^sha256:[0-9a-f]{64}$/m);
  assert.ok(first.mebibytes < mostMebibytes, `${first.mebibytes} MiB`);
  const layer = JSON.parse(
    execFileSync(launcher, ["build", "--json", "--state", state], { cwd: project, encoding: "utf8" }),
  ) as {
    readonly cached: boolean;
    readonly layers: readonly { readonly size: number }[];
  };
  assert.equal(layer.cached, true);
  // Each file is a header and a block.
  assert.ok((layer.layers[0]?.size ?? 0) > (inOneFolder + folders * inEach) * 1024);
  t.diagnostic(`at most ${first.mebibytes} MiB`);
});

/** Makes files of one line each, all of them different. */
function fill(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  const lines = Array.from({ length: count }, (_, i) => `${i}\n`).join("");
  execFileSync("split", ["--lines=1", "--suffix-length=6", "--numeric-suffixes", "-", join(folder, "file")], {
    input: lines,
  });
}

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The most that was resident, as far as it was seen. */
  readonly mebibytes: number;
}

async function build(project: string, state: string): Promise<Run> {
  const child = spawn(launcher, ["build", "--state", state], { cwd: project, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  let kibibytes = 0;
  const watch = setInterval(() => {
    const path = `/proc/${child.pid}/status`;
    if (!existsSync(path)) return;
    const peak = /^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(path, "utf8"))?.[1];
    kibibytes = Math.max(kibibytes, Number(peak ?? 0));
  }, 50);
  try {
    const [status] = (await once(child, "close")) as [number | null];
    return { status, stdout, stderr, mebibytes: Math.round(kibibytes / 1024) };
  } finally {
    clearInterval(watch);
  }
}
