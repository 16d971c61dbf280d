import assert from "node:assert/strict";
import test from "node:test";
import type { ConfigReport, StatusReport } from "../src/model/api.ts";
import { createSite, get, type DeployResult, type Site } from "./support/bronze.ts";

/** Prints the environment of its instance. */
const printsEnvironment = "#!/bin/busybox sh\nprintf 'Status: 200 OK\\r\\n\\r\\n'\nexec /bin/busybox env\n";

/** What live instances see of these variables, each asked from inside: one line where all see the same. */
async function seen(site: Site, names: readonly string[], environment = "production"): Promise<string> {
  const { environments } = await site.json<StatusReport>(["status", "--app", "shop", "-e", environment]);
  const live = environments[0]?.instances.filter(({ role }) => role === "live") ?? [];
  const answers = live.map(async ({ address }) => {
    const { body } = await get(`http://${address}:8080/cgi-bin/env`);
    const lines = new Map(body.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line] as const));
    return names.map((name) => lines.get(name) ?? `${name} absent`).join(" ");
  });
  return [...new Set(await Promise.all(answers))].join(" / ");
}

test("config is read back from inside instances after up, set, unset and rollback", { timeout: 180_000 }, async (t) => {
  const site = createSite(t);
  site.write({ "root/www/cgi-bin/env": printsEnvironment }, 0o755);
  site.write({ "production.env": "# of this environment\nexport MODE='two words'\n" });
  site.define({ top: ["config: { LEVEL: info, MODE: plain }"], environment: ["config: production.env"] });
  const names = ["LEVEL", "MODE", "NEW"];
  await site.json<DeployResult>(["up", "--http-port", "0", "--wait", "live"]);
  assert.equal(await seen(site, names), "LEVEL=info MODE=two words NEW absent");

  site.write({ "more.json": '{ "NEW": 1, "MODE": null }' });
  const set = await site.json<DeployResult>(["config", "set", "LEVEL=debug", "--from", "more.json"]);
  assert.deepEqual([set.release, set.created, set.overrides.length], [2, true, 3]);
  assert.equal(await seen(site, names), "LEVEL=debug MODE absent NEW=1");
  const told =
    "config overridden: LEVEL=debug (definition: info), MODE absent (definition: two words), NEW=1 (not in the definition)";
  const again = await site.bronze(["up"]);
  assert.match(again.stdout, /v2 already live/);
  assert.ok(again.stdout.includes(told), again.stdout);
  assert.ok((await site.bronze(["status"])).stdout.includes(told));
  const list = await site.bronze(["config", "list"]);
  assert.match(list.stdout, /config 2 of v2/);
  assert.match(list.stdout, /LEVEL +debug +override \(definition: info\)/);

  const back = await site.json<DeployResult>(["rollback"]);
  assert.deepEqual([back.release, back.of, back.overrides], [3, 1, []]);
  assert.equal(await seen(site, names), "LEVEL=info MODE=two words NEW absent");
  await site.json<DeployResult>(["rollback", "v2"]);
  assert.equal(await seen(site, names), "LEVEL=debug MODE absent NEW=1");
  const unset = await site.json<DeployResult>(["config", "unset", "MODE", "NEW"]);
  assert.equal(unset.release, 5);
  assert.equal(await seen(site, names), "LEVEL=debug MODE=two words NEW absent");
  const report = await site.json<ConfigReport>(["config", "list", "LEVEL"]);
  assert.deepEqual(
    [report.version, report.config, report.overrides],
    [3, { LEVEL: "debug" }, [{ name: "LEVEL", value: "debug", defined: "info" }]],
  );

  for (const [args, status, message] of [
    [["config", "unset", "LEVLE"], 4, /did you mean LEVEL\?/],
    [["config", "list", "LEVLE"], 4, /did you mean LEVEL\?/],
    [["config", "set", "PORT=1"], 2, /set by Bronze/],
    [["config", "set", "BRONZE_X=1"], 2, /set by Bronze/],
    [["config", "set", "1A=1"], 2, /not a variable's name/],
    [["config", "set", `A=${"x".repeat(40_000)}`], 2, /40000 bytes/],
    [["config", "set", "--from", "Dockerfile"], 2, /Dockerfile:1: must be NAME=value/],
    [["config", "set", "--from", "nosuch.env"], 4, /no such file/],
  ] as const) {
    const refused = await site.bronze(args);
    assert.equal(refused.status, status, refused.stderr);
    assert.match(refused.stderr, message);
  }
  site.write({ "production.env": "MODE=one\nMODE=two\nnot this\n" });
  const broken = await site.bronze(["up"]);
  assert.equal(broken.status, 2);
  assert.match(
    broken.stderr,
    /production.env:2: MODE stands on line 1 already[^]*production.env:3: must be NAME=value/,
  );
  assert.equal((await site.releases()).length, 5);
});
