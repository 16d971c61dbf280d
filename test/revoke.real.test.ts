import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { ReleaseRow } from "../src/model/api/releases.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import type { RevokeResult } from "../src/model/api/trust.ts";
import { createSite, dockerfile, eventually, get, keepAsking, server, type DeployResult } from "./support/bronze.ts";

test(
  "a base that is revoked blocks all that was made from it, and what is live of it is told, or taken back without a failed request",
  {
    timeout: 240_000,
  },
  async (t) => {
    const site = createSite(t);
    const environment = ["rollback: { watch: 0s }"];
    site.define({ instances: 1, environment });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    // A base of one's own, an image between, and the app that is made from that.
    site.write({
      "base/Dockerfile": dockerfile(server),
      "base/bronze.yaml": "app: base\nbuild: { dockerfile: Dockerfile }\n",
      "between/Dockerfile": "FROM base:latest\nCOPY note /note\n",
      "between/note": "between\n",
      "between/bronze.yaml": "app: between\nbuild: { dockerfile: Dockerfile }\n",
    });
    site.write({ "base/root/base": "base\n" });
    cpSync(join(site.project, "root"), join(site.project, "base/root"), { recursive: true });
    const build = async (folder: string): Promise<string> => {
      const { status, stdout, stderr } = await site.bronze(["build"], { cwd: `${site.project}/${folder}` });
      assert.equal(status, 0, stderr);
      return stdout.trim();
    };
    const base = await build("base");
    const between = await build("between");
    const own = (text: string): void =>
      site.write({
        Dockerfile: `FROM between:latest\nCOPY root/ /\nUSER 65532:65532\nCMD ${JSON.stringify(server)}\n`,
        "root/www/index.html": text,
      });
    own("v2\n");
    const second = await site.json<DeployResult>(["up"]);
    const [, v2] = await site.releases();
    assert.ok(v2);
    own("v3\n");
    const unreleased = (await site.json<{ digest: string }>(["build"])).digest;

    const revoked = await site.json<RevokeResult>(["revoke", base, "--reason", "CVE-2026-1"]);
    assert.deepEqual(revoked.blocked.map(({ artifact }) => artifact).sort(), [between, v2.artifact, unreleased].sort());
    assert.deepEqual(
      revoked.running.map(({ release, live, instances }) => [release, live, instances.length]),
      [[2, true, 1]],
    );
    for (const artifact of [v2.artifact, unreleased]) {
      const result = await site.bronze(["deploy", artifact]);
      assert.equal(result.status, 6, result.stderr);
      assert.match(
        result.stderr,
        /ARTIFACT_REVOKED.*was made from sha256:\w{12}, by way of sha256:\w{12}, which is revoked by \w+: CVE-2026-1/,
      );
    }
    const up = await site.bronze(["up"]);
    assert.equal(up.status, 6, up.stderr);
    const text = await site.bronze(["status"]);
    assert.match(
      text.stdout,
      /warning: v2 runs what is revoked: .*CVE-2026-1; it serves on \(revoked: report\); `bronze rollback` goes back to v1/,
    );
    assert.match((await site.bronze(["releases"])).stdout, /v2 +proven, revoked/);
    assert.equal((await get(url)).body, "v2\n");

    // Lifted, it may be released again; then what is live goes by itself.
    assert.match((await site.bronze(["revoke", base, "--undo"])).stdout, /is no longer revoked/);
    site.define({ instances: 1, environment: [...environment, "revoked: replace"] });
    assert.equal((await site.json<DeployResult>(["deploy", v2.artifact])).release, second.release);
    const load = keepAsking(url);
    const again = await site.json<RevokeResult>(["revoke", between, "-m", "CVE-2026-2"]);
    assert.equal(again.blocked.length, 2);
    await eventually("v1 is back", async () => (await get(url)).body === "v1\n");
    const { failures } = await load.stop();
    assert.deepEqual(failures, []);
    const rows: readonly ReleaseRow[] = await site.releases();
    const back = rows.at(-1);
    assert.deepEqual([back?.of, back?.automatic, back?.live], [1, true, true]);
    assert.match(back?.why ?? "", /CVE-2026-2/);
    const [environmentNow] = (await site.json<StatusReport>(["status"])).environments;
    assert.equal(environmentNow?.rollback.target, null);
    const none = await site.bronze(["rollback", "v2"]);
    assert.equal(none.status, 6);
    assert.match(
      (await site.bronze(["revoke"])).stdout,
      new RegExp(`${between.slice(0, 19)}.*shop production v2.*CVE-2026-2`),
    );
    const kinds = (await site.json<readonly LedgerEvent[]>(["history", "--all"])).map(({ data }) => data.kind);
    for (const kind of ["artifact.revoked", "artifact.blocked", "artifact.reinstated", "release.refused"] as const)
      assert.ok(kinds.includes(kind), kind);
    const audit = await site.json<{ ok: boolean; projectionsEqual: boolean }>(["audit", "verify"]);
    assert.deepEqual([audit.ok, audit.projectionsEqual], [true, true]);
  },
);
