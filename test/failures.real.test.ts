import assert from "node:assert/strict";
import test from "node:test";
import { createSite, dockerfile, get, keepAsking, server, type DeployResult } from "./support/bronze.ts";

const shell = (script: string): string => dockerfile(["/bin/busybox", "sh", "-c", script]);

const cases: readonly {
  readonly name: string;
  readonly dockerfile: string;
  readonly run?: readonly string[];
  readonly says: RegExp;
}[] = [
  {
    name: "exits at once",
    dockerfile: shell("echo cannot find the moon; exit 3"),
    says: /exited with status 3 before it was healthy[\s\S]*cannot find the moon/,
  },
  {
    name: "never listens",
    dockerfile: dockerfile(["/bin/busybox", "sleep", "1000"]),
    says: /never listened on port 8080/,
  },
  {
    name: "listens on loopback only",
    dockerfile: dockerfile(["/bin/busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www"]),
    says: /listens on 127\.0\.0\.1:8080 only/,
  },
  {
    name: "answers 5xx",
    dockerfile: dockerfile(server),
    run: ["health: { path: /cgi-bin/health, deadline: 2s }"],
    says: /answered 503 to GET \/cgi-bin\/health/,
  },
  {
    name: "writes to its read-only root",
    dockerfile: shell("echo x > /data/file"),
    says: /\/data\/file[\s\S]*run\.tmpfs/,
  },
  {
    name: "runs out of memory",
    dockerfile: shell("x=a; while :; do x=$x$x; done"),
    run: ["resources: { memory: 16Mi }", "health: { deadline: 20s }"],
    says: /ran out of memory/,
  },
];

test(
  "a failed deploy says which of the usual causes it was, and traffic stays where it is",
  { timeout: 240_000 },
  async (t) => {
    const site = createSite(t);
    site.write({ "root/www/cgi-bin/health": "#!/bin/busybox sh\nprintf 'Status: 503 No\\r\\n\\r\\n'\n" }, 0o755);
    site.write({ "root/data/.keep": "" });
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const load = keepAsking(url, 20);
    let failed = 1;
    for (const one of cases) {
      await t.test(one.name, async () => {
        failed += 1;
        site.write({ Dockerfile: one.dockerfile });
        site.define({ run: one.run ?? ["health: { deadline: 2s }"] });
        const before = await site.status();
        const result = await site.bronze(["up"]);
        assert.equal(result.status, 5, result.stderr);
        assert.match(result.stderr, one.says);
        assert.match(result.stderr, /all traffic is still on v1/);
        const after = await site.status();
        assert.deepEqual(
          [after.live?.release, after.live?.digest, after.url, after.rollout],
          [1, before.live?.digest, before.url, null],
        );
        const serving = ({ instances }: typeof after) =>
          instances.filter(({ role }) => role === "live").map(({ name, pid }) => [name, pid]);
        assert.deepEqual(serving(after), serving(before));
        const releases = await site.releases();
        assert.deepEqual([releases.at(-1)?.release, releases.at(-1)?.state], [failed, "aborted"]);
      });
    }
    assert.equal((await get(url)).body, "v1\n");
    const { failures, bodies } = await load.stop();
    assert.deepEqual(failures, []);
    assert.deepEqual(bodies, ["v1"]);
  },
);
