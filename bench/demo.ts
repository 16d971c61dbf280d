import { access, cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root as checkout } from "./lib/bronze.ts";
import type { BenchOptions, BenchResult } from "./lib/figures.ts";
import { needs, require } from "./lib/packages.ts";
import { attempt, run } from "./lib/process.ts";

/** What the machine of a first-time user has before the first command. */
const packages = ["git", "ca-certificates"];
/** How this machine reaches its registries; taken along, as a user's machine would have its own. */
const takenAlong = [
  "/etc/apt",
  "/etc/npmrc",
  "/usr/etc/npmrc",
  "/root/.npmrc",
  "/etc/ssl/certs",
  "/usr/local/share/ca-certificates",
  "/usr/share/keyrings",
  "/etc/hosts",
];
const variablesTakenAlong = /^(.*_proxy|npm_config_.*|node_extra_ca_certs|ssl_cert_file|ssl_cert_dir)$/i;
/** A run that takes longer is ended, in ms: it will not reach what is promised. */
const mostMs = 8 * 60_000;

/** `./bronze demo -y` as the first command after a clone in a fresh Debian root, and once more. */
export async function demoBench({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.mmdebstrap);
  const first: number[] = [];
  const second: number[] = [];
  for (let i = 0; i < (runs ?? 1); i += 1) {
    const root = await mkdtemp(join(tmpdir(), "bronze-fresh-"));
    try {
      say("making a fresh Debian 12 root");
      await makeRoot(root);
      say("first run");
      first.push(await timedDemo(root));
      say("second run");
      second.push(await timedDemo(root));
    } finally {
      await rm(root, { recursive: true, force: true, maxRetries: 3 });
    }
  }
  const worst = (values: readonly number[]) => Math.round(Math.max(...values) / 100) / 10;
  return {
    figures: [
      { name: "first_s", value: worst(first), unit: "s", runs: first.length },
      { name: "second_s", value: worst(second), unit: "s", runs: second.length },
    ],
  };
}

async function makeRoot(root: string): Promise<void> {
  const sources = await readFile("/etc/apt/sources.list.d/debian.sources", "utf8").catch(() => "");
  await run(
    "mmdebstrap",
    [
      "--mode=root",
      "--variant=minbase",
      `--include=${packages.join(",")}`,
      "bookworm",
      root,
      ...(sources === "" ? [] : ["-"]),
    ],
    { stdin: sources },
  );
  for (const path of takenAlong) {
    if (!(await there(path))) continue;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await run("cp", ["-aT", path, join(root, path)]);
  }
  // It may be a link into what the fresh root lacks.
  await rm(join(root, "etc/resolv.conf"), { force: true });
  await cp("/etc/resolv.conf", join(root, "etc/resolv.conf"), { dereference: true });
  // Any Node with npm will do: this machine's.
  const node = await run("sh", ["-c", 'readlink -f "$(command -v node)"']);
  const npm = await run("sh", ["-c", 'readlink -f "$(command -v npm)"']);
  await mkdir(join(root, "usr/lib/node_modules"), { recursive: true });
  await cp(node.trim(), join(root, "usr/bin/node"));
  await cp(dirname(dirname(npm.trim())), join(root, "usr/lib/node_modules/npm"), { recursive: true });
  await run("ln", ["-s", "../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/bin/npm")]);
  await run("git", ["clone", "--quiet", "--no-hardlinks", checkout, join(root, "root/bronze")]);
}

/**
 * In a mount namespace of its own, so that what is mounted ends with it: the root becomes the fresh one, with this
 * machine's kernel file systems, and nothing of this machine's own root shows inside.
 */
const enter = `set -eu
cd "$1"
mount --bind . .
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p old
pivot_root . old
umount -l /old
cd /root/bronze
exec ./bronze demo -y
`;

async function timedDemo(root: string): Promise<number> {
  const variables = Object.entries(process.env).filter(([name]) => variablesTakenAlong.test(name));
  const env = {
    ...Object.fromEntries(variables),
    HOME: "/root",
    TERM: "dumb",
    LANG: "C.UTF-8",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  };
  const startedAt = performance.now();
  const args = ["--mount", "--propagation", "private", "sh", "-c", enter, "sh", root];
  const { status, stdout, stderr } = await attempt("unshare", args, { env, timeoutMs: mostMs });
  if (status !== 0) throw new Error(`the demo ended with status ${status}\n${(stdout + stderr).slice(-3000)}`);
  return performance.now() - startedAt;
}

function there(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
