import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { EnvironmentStatus, StatusReport } from "../src/model/api/status.ts";
import type { StorageReport } from "../src/model/api/storage.ts";
import { createSite, eventually, get, keepAsking, type Site, type DeployResult } from "./support/bronze.ts";

/** Changes one byte of a file behind everybody's back: the flag is taken off and put on again. */
function flip(path: string, at: number): void {
  const isImmutable = path.endsWith(".erofs");
  if (isImmutable) execFileSync("chattr", ["-i", path]);
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x01;
  execFileSync("dd", [`of=${path}`, "bs=4096", "conv=notrunc", "status=none"], { input: bytes });
  if (isImmutable) execFileSync("chattr", ["+i", path]);
}

const imagesOf = (site: Site): readonly string[] =>
  readdirSync(join(site.state, "layers"))
    .filter((name) => name.endsWith(".erofs"))
    .map((name) => join(site.state, "layers", name));

/** The largest file of a folder. */
const largest = (paths: readonly string[]): string =>
  paths.toSorted((a, b) => statSync(b).size - statSync(a).size)[0] ?? "";

const newest = (paths: readonly string[]): string =>
  paths.toSorted((a, b) => statSync(b).birthtimeMs - statSync(a).birthtimeMs)[0] ?? "";

const blobsOf = (site: Site): readonly string[] =>
  readdirSync(join(site.state, "store/blobs/sha256")).map((name) => join(site.state, "store/blobs/sha256", name));

const serving = ({ instances }: EnvironmentStatus): readonly unknown[] =>
  instances.filter(({ role }) => role === "live").map(({ name, pid }) => [name, pid]);

interface Doctor {
  readonly ready: boolean;
  readonly storage: StorageReport;
}

async function doctor(
  site: Site,
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly report: Doctor }> {
  const { status, stdout, stderr } = await site.bronze(["doctor", ...args, "--json"]);
  assert.ok(stdout.startsWith("{"), stderr);
  return { status, report: JSON.parse(stdout) as Doctor };
}

test(
  "a flipped byte in a blob or an image that is not mounted yet: refused with exit 7, live traffic untouched; repair and a new build mend it",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const load = keepAsking(url, 20);
    t.after(() => load.stop());
    const before = serving(await site.status());

    await t.test("the layer's blob", async () => {
      const there = new Set(blobsOf(site));
      site.write({ "root/www/index.html": "v2\n" });
      const { digest } = await site.json<{ readonly digest: string }>(["build"]);
      const blob = largest(blobsOf(site).filter((path) => !there.has(path)));
      flip(blob, statSync(blob).size - 5_000);
      const refused = await site.bronze(["deploy", digest]);
      assert.equal(refused.status, 7, refused.stderr);
      assert.match(
        refused.stderr,
        /error\[VERIFICATION_FAILED\]: Cannot use layer sha256:[0-9a-f]{64}: its bytes have the digest/,
      );
      assert.deepEqual(serving(await site.status()), before);
      const seen = await doctor(site);
      assert.equal(seen.status, 7);
      assert.deepEqual(
        seen.report.storage.findings
          .filter(({ kind }) => kind === "blob")
          .map(({ mended, repair }) => [mended, repair]),
        [[false, "set it aside"]],
      );
      await doctor(site, "--repair");
      assert.ok(!existsSync(blob), "set aside");
      assert.ok(
        (await site.json<StatusReport>(["status"])).storage?.some((line) => /damaged and is set aside/.test(line)),
      );
      assert.equal((await site.json<{ readonly digest: string }>(["build"])).digest, digest);
      assert.ok(existsSync(blob), "the same build brings it back");
      assert.deepEqual((await site.json<StatusReport>(["status"])).storage, []);
      assert.equal((await site.json<DeployResult>(["deploy", digest])).digest.length > 0, true);
      assert.equal((await get(url)).body, "v2\n");
    });

    await t.test("the manifest", async () => {
      site.write({ "root/www/index.html": "v3\n" });
      const { digest } = await site.json<{ readonly digest: string }>(["build"]);
      flip(join(site.state, "store/blobs/sha256", digest.slice(7)), 20);
      const refused = await site.bronze(["deploy", digest]);
      assert.equal(refused.status, 7, refused.stderr);
      assert.match((await get(url)).body, /v2/);
      // A build writes small blobs anew where they differ.
      assert.equal((await site.json<{ readonly digest: string }>(["build"])).digest, digest);
      await site.json<DeployResult>(["deploy", digest]);
      assert.equal((await get(url)).body, "v3\n");
    });

    const { requests, failures } = await load.stop();
    t.diagnostic(`${requests} requests, ${failures.length} failed`);
    assert.deepEqual(failures, []);

    await t.test("an image, before its next mount", async () => {
      await site.json(["down"]);
      assert.match(
        await get(url).then(
          ({ status }) => String(status),
          () => "refused",
        ),
        /refused|503|404/,
      );
      const image = newest(imagesOf(site).filter((path) => statSync(path).size > 100_000));
      flip(image, statSync(image).size - 5_000);
      const refused = await site.bronze(["up", "--http-port", new URL(url).port]);
      assert.equal(refused.status, 7, refused.stderr);
      assert.match(refused.stderr, /Cannot use the image of layer .* was touched/);
      const again = await site.bronze(["up"]);
      assert.equal(again.status, 0, again.stderr);
      assert.equal((await get(url)).body, "v3\n");
    });
  },
);

test(
  "a running image that is touched is noticed at once, its instances are replaced from one made anew, and no request fails",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const before = await site.status();
    const load = keepAsking(url, 20);
    t.after(() => load.stop());
    const image = largest(imagesOf(site));
    const pristine = readFileSync(image);
    flip(image, statSync(image).size - 5_000);
    await eventually("all instances are others, and serve", async () => {
      const { instances, healthy, wanted } = await site.status();
      const live = instances.filter(({ role }) => role === "live");
      const old = new Set(before.instances.map(({ name }) => name));
      return live.length === wanted && healthy === wanted && live.every(({ name }) => !old.has(name));
    });
    const events = (await site.json<readonly LedgerEvent[]>(["history", "--all", "-n", "1000"])).map(
      ({ data }) => data,
    );
    assert.ok(events.some((data) => data.kind === "drift.found"));
    assert.ok(events.some((data) => data.kind === "image.touched"));
    assert.ok(readFileSync(image).equals(pristine), "the new image has the same bytes");
    const { requests, failures } = await load.stop();
    t.diagnostic(`${requests} requests, ${failures.length} failed`);
    assert.deepEqual(failures, []);
    const { status, report } = await doctor(site, "--repair");
    assert.equal(status, 0);
    assert.deepEqual(
      report.storage.findings.map(({ kind, mended }) => [kind, mended]),
      [["leftover", true]],
      "what was set aside is removed",
    );
    assert.deepEqual((await doctor(site)).report.storage.findings, []);
  },
);

test(
  "`doctor --repair` after everything of a site was killed: nothing of it is left, and it comes back",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const { daemon } = await site.json<StatusReport>(["status"]);
    const { instances } = await site.status();
    process.kill(daemon.pid, "SIGKILL");
    for (const { pid } of instances) if (pid !== null) process.kill(pid, "SIGKILL");
    const tag = createHash("sha256").update(site.state).digest("hex").slice(0, 8);
    const left = (): readonly string[] => [
      ...readFileSync("/proc/self/mounts", "utf8")
        .split("\n")
        .filter((line) => line.includes(`${site.state}/run/`)),
      ...readdirSync("/sys/class/net").filter((name) => name === `bz${tag}`),
    ];
    await eventually("the daemon and the instances are gone", () =>
      [daemon.pid, ...instances.map(({ pid }) => pid ?? 0)].every((pid) => !existsSync(`/proc/${pid}`)),
    );
    assert.ok(left().length >= 3, "two layers, their joined root and the bridge");
    const seen = await doctor(site);
    assert.equal(seen.status, 0, "leftovers alone are no damage");
    assert.ok(left().length >= 3, "without --repair nothing is changed");
    const mended = await doctor(site, "--repair");
    assert.equal(mended.status, 0);
    assert.deepEqual(left(), []);
    assert.deepEqual((await doctor(site)).report.storage.findings, []);
    t.diagnostic(mended.report.storage.findings.map(({ finding }) => finding).join(", "));
    // The same port as before: the router that outlived the daemon has it.
    const again = await site.bronze(["up"]);
    assert.equal(again.status, 0, again.stderr);
    await eventually("it serves", async () => (await get(url).catch(() => undefined))?.body === "v1\n");
  },
);

test(
  "`doctor --repair` without a daemon: images made anew, blobs named, leftovers removed, a damaged ledger only by a person's word",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    await site.json<DeployResult>(["up", "--http-port", "0"]);
    const { daemon } = await site.json<StatusReport>(["status"]);
    const running = serving(await site.status());
    process.kill(daemon.pid, "SIGKILL");
    await eventually("the daemon is gone", () => !existsSync(`/proc/${daemon.pid}`));

    await t.test("what is missing and what is left over is listed, then mended", async () => {
      const image = largest(imagesOf(site));
      const pristine = readFileSync(image);
      execFileSync("chattr", ["-i", image]);
      rmSync(image);
      writeFileSync(join(site.state, "layers", `${"0".repeat(64)}.erofs`), "of no ledger");
      writeFileSync(join(site.state, "store/tmp/4194304999-1-aa"), "of a dead writer");
      writeFileSync(join(site.state, "router/record.json.tmp"), "half");
      const seen = await doctor(site);
      assert.equal(seen.status, 7);
      assert.ok(!existsSync(image), "without --repair nothing is changed");
      const kinds = seen.report.storage.findings.map(({ kind }) => kind);
      assert.equal(kinds.filter((kind) => kind === "image").length, 1);
      // The three files, and socket and process id of the dead daemon.
      assert.equal(kinds.filter((kind) => kind === "leftover").length, 5, JSON.stringify(seen.report.storage.findings));
      const mended = await doctor(site, "--repair");
      assert.equal(mended.status, 0, JSON.stringify(mended.report.storage));
      assert.ok(mended.report.storage.findings.every((finding) => finding.mended));
      assert.ok(readFileSync(image).equals(pristine));
      const after = await doctor(site);
      assert.deepEqual([after.status, after.report.storage.findings], [0, []]);
      t.diagnostic(`${seen.report.storage.findings.length} findings listed, all mended`);
    });

    await t.test("the ledger", async () => {
      const sqlite = join(site.state, "ledger.sqlite");
      const { events } = (await doctor(site)).report.storage;
      const database = new DatabaseSync(sqlite);
      database.exec(`DELETE FROM events WHERE seq = ${events}`);
      database.close();
      const seen = await doctor(site, "--repair");
      assert.equal(seen.status, 7);
      assert.match(seen.report.storage.findings[0]?.finding ?? "", new RegExp(`event ${events} is missing`));
      const refused = await site.bronze(["up"]);
      assert.equal(refused.status, 7, refused.stderr);
      assert.match(refused.stderr, /is missing, and was acknowledged/);
      const kept = await doctor(site, "--repair", "--keep-events", String(events - 1));
      assert.equal(kept.status, 0, JSON.stringify(kept.report.storage));
      assert.deepEqual((await doctor(site)).report.storage.findings, []);
      assert.ok(existsSync(join(site.state, "ledger.damaged-1/ledger.sqlite")));
    });
    const again = await site.bronze(["up"]);
    assert.equal(again.status, 0, again.stderr);
    assert.equal(running.length, 2);
    const recorded = (await site.json<readonly LedgerEvent[]>(["history", "--all", "-n", "1000"])).map(
      ({ data }) => data.kind,
    );
    assert.ok(recorded.includes("ledger.salvaged"));
    assert.equal((await site.bronze(["audit", "verify"])).status, 0);
  },
);

test(
  "a ledger altered under a running daemon is found by audit and doctor, exit 7; what runs goes on",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    site.define({ environment: ["rollback: { keepWarm: 10m, watch: 0s }"] });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    // Nothing is to be recorded meanwhile: a page that SQLite writes again is whole again.
    await eventually("all of the rollout is recorded", async () =>
      (await site.json<readonly LedgerEvent[]>(["history"])).some(({ data }) => data.kind === "rollout.measured"),
    );
    assert.equal((await site.bronze(["audit", "verify"])).status, 0);
    const altered = ["ledger.sqlite", "ledger.sqlite-wal"].map((name) => {
      const path = join(site.state, name);
      const bytes = readFileSync(path);
      const fd = openSync(path, "r+");
      let count = 0;
      for (let at = bytes.indexOf('"type":"deploy"'); at >= 0; at = bytes.indexOf('"type":"deploy"', at + 1)) {
        writeSync(fd, '"type":"employ"', at);
        count += 1;
      }
      closeSync(fd);
      return count;
    });
    t.diagnostic(`altered in ${altered.join(" and ")} places`);
    const audited = await site.bronze(["audit", "verify"]);
    assert.equal(audited.status, 7);
    assert.match(audited.stderr, /event \d+(: it was changed| was altered)/);
    const { status, report } = await doctor(site, "--repair");
    assert.equal(status, 7, "nothing is folded anew from events that do not hold");
    assert.deepEqual(
      report.storage.findings.map(({ kind, mended }) => [kind, mended]),
      [["ledger", false]],
    );
    assert.ok(
      (await site.json<StatusReport>(["status"])).storage?.some((line) => /ledger on disk is damaged/.test(line)),
    );
    assert.equal((await get(url)).body, "v1\n");
  },
);
