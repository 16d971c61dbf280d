import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import { createSite, type DeployResult } from "./support/bronze.ts";
import { attachStrace, parseTrace, readTrace, underStrace, type SystemCall } from "./support/strace.ts";

test("`parseTrace()` joins calls that were interrupted in the listing, and knows what was done before what", () => {
  const text = [
    "10 fsync(21</a/tmp/x> <unfinished ...>",
    '11 write(1<pipe:[5]>, "y", 1) = 1',
    "10 <... fsync resumed>) = 0",
    '10 rename("/a/tmp/x", "/a/b") = 0',
    "12 +++ exited with 0 +++",
  ].join("\n");
  assert.deepEqual(parseTrace(text), [
    { name: "write", args: '1<pipe:[5]>, "y", 1', result: 1, start: 1, end: 1 },
    { name: "fsync", args: "21</a/tmp/x>", result: 0, start: 0, end: 2 },
    { name: "rename", args: '"/a/tmp/x", "/a/b"', result: 0, start: 3, end: 3 },
  ]);
});

const isSync = ({ name, result }: SystemCall): boolean => /^f(data)?sync$/.test(name) && result === 0;
const on =
  (path: string) =>
  ({ args }: SystemCall): boolean =>
    args.includes(`<${path}>`);

/**
 * Each file that got its name in a folder was written, synced, renamed or linked, and then the folder synced, in this order;
 * the answer came after all of it. @returns how many files
 */
function namedDurably(calls: readonly SystemCall[], folder: string, answer: SystemCall): number {
  const renames = calls.filter(
    ({ name, args, result }) => /^(rename|link)/.test(name) && result === 0 && args.includes(`"${folder}/`),
  );
  for (const rename of renames) {
    const [, from = "", to = ""] = /"([^"]+)",(?: AT_FDCWD<[^>]*>,)? "([^"]+)"/.exec(rename.args) ?? [];
    const synced = calls.find((call) => isSync(call) && on(from)(call) && call.end < rename.start);
    assert.ok(synced !== undefined, `${from} is synced before it gets its name`);
    const late = calls.find((call) => /^p?write/.test(call.name) && on(from)(call) && call.start > synced.start);
    assert.equal(late, undefined, `${from} is not written to after that`);
    const folderSynced = calls.find((call) => isSync(call) && on(dirname(to))(call) && call.start > rename.end);
    assert.ok(folderSynced !== undefined, `the folder of ${to} is synced after it has its name`);
    assert.ok(folderSynced.end < answer.start, "the answer comes after that");
  }
  return renames.length;
}

/** When the last commit before an answer was on disk, and what was written to the log after it. */
function committedBefore(calls: readonly SystemCall[], log: string, answer: SystemCall): void {
  const writes = calls.filter((call) => call.name.startsWith("pwrite") && on(log)(call) && call.start < answer.start);
  const last = writes.at(-1);
  assert.ok(last !== undefined, "the ledger was written to before the answer");
  const synced = calls.find((call) => isSync(call) && on(log)(call) && call.start > last.end);
  assert.ok(synced !== undefined && synced.end < answer.start, "what was written is on disk before the answer");
}

test("the ledger: what an answer tells is on disk before the answer is sent", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  site.define({ environment: ["rollback: { keepWarm: 10m, watch: 0s }"] });
  await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write({ "root/www/index.html": "v2\n" });
  await site.json<DeployResult>(["up"]);
  const { pid } = (await site.json<StatusReport>(["status"])).daemon;
  site.write({ "root/www/index.html": "v3\n" });
  const { digest } = await site.json<{ readonly digest: string }>(["build"]);
  const stop = await attachStrace(pid, join(dirname(site.state), "trace"));
  const back = await site.json<DeployResult>(["rollback"]);
  await site.json<DeployResult>(["deploy", digest]);
  const calls = await stop();
  assert.equal(back.release, 3);
  const answers = calls.filter(({ args }) => args.includes('\\"kind\\":\\"result\\"'));
  assert.equal(answers.length, 2, "both answers were seen");
  for (const answer of answers) committedBefore(calls, join(site.state, "ledger.sqlite-wal"), answer);
  const images = namedDurably(calls, join(site.state, "layers"), answers[1] as SystemCall);
  assert.ok(images >= 1, "the deploy made an image");
  t.diagnostic(`${calls.length} calls: ${answers.length} answers after their commits, ${images} images named durably`);
});

test(
  "the store: each blob is written, synced, named, and its folder synced, before the command says so",
  { timeout: 120_000 },
  (t) => {
    const site = createSite(t);
    const output = join(dirname(site.state), "trace");
    mkdirSync(site.state, { recursive: true });
    const launcher = join(import.meta.dirname, "..", "bronze");
    const { status, stderr } = spawnSync(
      "strace",
      [...underStrace(output, [launcher, "build", "--state", site.state])],
      {
        cwd: site.project,
        encoding: "utf8",
        // Calls that a ring makes are seen by nobody.
        env: { ...process.env, UV_USE_IO_URING: "0" },
      },
    );
    assert.equal(status, 0, stderr);
    const calls = readTrace(output);
    const answer = calls.find(({ name, args }) => name === "write" && /^[12]<.*built sha256:/.test(args));
    assert.ok(answer !== undefined, "the command's answer was seen");
    const blobs = join(site.state, "store/blobs/sha256");
    const named = namedDurably(calls, blobs, answer);
    assert.equal(named, readdirSync(blobs).length, "every blob that is there came so");
    const tags = namedDurably(calls, join(site.state, "store/tags"), answer);
    t.diagnostic(
      `${calls.length} calls: ${named} blobs and ${tags} tags, each fsync → rename → fsync of the folder → answer`,
    );
  },
);
