import assert from "node:assert/strict";
import test from "node:test";
import type { ConfigReport } from "../src/model/api/releases.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import type { ContentDifference } from "../src/model/difference.ts";
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
  await site.json<DeployResult>(["up", "--http-port", "0"]);
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

  const slip = await site.bronze(["config", "set", "A=1", "-e", "prodution"]);
  assert.equal(slip.status, 4);
  assert.match(slip.stderr, /did you mean production\?/);
  const refused = await site.bronze(["config", "unset", "LEVLE"]);
  assert.equal(refused.status, 4);
  assert.match(refused.stderr, /did you mean LEVEL\?/);
  const secret = await site.bronze(["config", "set", ["TOKEN=ghp", "abcdefghijklmnopqrstuvwxyz0123456789"].join("_")]);
  assert.deepEqual([secret.status, secret.stderr.includes("abcdef")], [10, false]);
  // What is new may be meant: it is set, and the nearest is named.
  const near = await site.bronze(["config", "set", "LEVLE=warn"]);
  assert.equal(near.status, 0, near.stderr);
  assert.match(near.stderr, /LEVLE is new here: did you mean LEVEL\?/);
  assert.match(secret.stderr, /TOKEN \(github-token\)[^]*bronze secret set TOKEN/);
  site.write({ "production.env": "MODE=one\nMODE=two\nnot this\n" });
  const broken = await site.bronze(["up"]);
  assert.equal(broken.status, 2);
  assert.match(
    broken.stderr,
    /production.env:2: MODE stands on line 1 already[^]*production.env:3: must be NAME=value/,
  );
});

test(
  "what is proven in staging is promoted to production, beside it, with a config of its own",
  { timeout: 180_000 },
  async (t) => {
    const site = createSite(t);
    site.write({ "root/www/cgi-bin/env": printsEnvironment }, 0o755);
    const definition = (watch: string): string => `app: shop
build: { dockerfile: Dockerfile }
config: { LEVEL: info }
run: { drain: 1s }
environments:
  production: { from: staging, config: { LEVEL: warn }, rollback: { watch: 0s } }
  staging: { route: { host: staging.example }, rollback: { watch: ${watch} } }
`;
    site.write({ "bronze.yaml": definition("1h") });
    const built = await site.json<DeployResult>(["up", "--http-port", "0"]);
    const exits = async (args: readonly string[], status: number, message: RegExp): Promise<void> => {
      const refused = await site.bronze(args);
      assert.equal(refused.status, status, refused.stderr);
      assert.match(refused.stderr, message);
    };
    await exits(["up", "-e", "production"], 6, /it comes from staging[^]*bronze promote production/);
    await exits(["promote", "production"], 6, /v1 of shop is live in staging and not proven: watching for another/);
    // The watch belongs to the environment: what is live is proven as soon as it is short enough.
    site.write({ "bronze.yaml": definition("0s") });
    assert.equal((await site.json<DeployResult>(["up", "--wait", "proven"])).created, false);
    const promoted = await site.bronze(["promote", "staging", "production"]);
    assert.equal(promoted.status, 0, promoted.stderr);
    assert.match(promoted.stdout, /^v1 live at /);
    assert.equal(await seen(site, ["LEVEL", "BRONZE_ENV"]), "LEVEL=warn BRONZE_ENV=production");
    assert.equal(await seen(site, ["LEVEL", "BRONZE_ENV"], "staging"), "LEVEL=info BRONZE_ENV=staging");
    const url = built.url.replace("staging.example", "127.0.0.1");
    assert.match((await get(`${url}cgi-bin/env`)).body, /BRONZE_ENV=production/);
    assert.match((await get(`${url}cgi-bin/env`, { host: "staging.example" })).body, /BRONZE_ENV=staging/);

    const differ = await site.bronze(["diff", "staging", "production", "--json"]);
    assert.equal(differ.status, 3);
    const { difference } = JSON.parse(differ.stdout) as { readonly difference: ContentDifference };
    const level = { name: "LEVEL", from: "info", to: "warn" };
    assert.deepEqual(difference, { artifact: null, config: [level], secrets: [], settings: [] });
    await site.json<DeployResult>(["config", "set", "LEVEL=warn", "-e", "staging"]);
    const alike = await site.bronze(["diff", "staging", "production"]);
    assert.deepEqual([alike.status, alike.stdout.split("\n")[1]], [0, "nothing differs"]);
    const releases = await site.bronze(["releases", "--all"]);
    assert.match(releases.stdout, /shop staging +v2 .* config LEVEL /);
    assert.match(releases.stdout, /shop production +v1 .* promotion of staging v1 /);
    const one = await site.bronze(["releases", "v2", "-e", "staging"]);
    assert.match(one.stdout, /^v1 → v2 of shop in staging\nconfig +LEVEL +info → warn\n$/);
  },
);

test(
  "several apps are promoted together or not at all, those that are needed first",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    site.write({
      "bronze.yaml": `environments:
  staging: { rollback: { watch: 0s } }
  production: { from: staging, rollback: { watch: 0s } }
apps:
  shop:
    build: { dockerfile: Dockerfile }
    needs: [db]
    environments: { staging: { route: { host: staging.example } } }
  db: { build: { dockerfile: Dockerfile }, route: none, run: { health: { tcp: true } } }
`,
    });
    await site.json(["up", "--http-port", "0", "--app", "db"]);
    const refused = await site.bronze(["promote", "production"]);
    assert.equal(refused.status, 6);
    assert.match(refused.stderr, /Cannot promote to production: nothing of shop is live in staging/);
    await site.json(["up"]);
    const promoted = await site.json<readonly { readonly app: string; readonly release: number }[]>([
      "promote",
      "production",
    ]);
    assert.deepEqual(
      promoted.map(({ app, release }) => [app, release]),
      [
        ["shop", 1],
        ["db", 1],
      ],
    );
    const history = await site.bronze(["history", "--app", "shop", "-e", "production"]);
    assert.match(history.stdout, /v1 created: promotion of v1 of staging/);
    assert.equal((await site.bronze(["diff", "staging", "production"])).status, 0);
  },
);
