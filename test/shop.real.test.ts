import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import test from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import { createSite, eventually, get, keepAsking } from "./support/bronze.ts";

const example = join(import.meta.dirname, "../examples/shop");
const irreversible = "web/migrations/2-no-addresses.sql";

function post(url: string, host: string, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: "POST", agent: false, headers: { host } }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    });
    request.once("error", reject).end(body);
  });
}

test(
  "the example shop: database, worker, migrations and uploads in two environments; a rollback brings all of a release back",
  { timeout: 600_000 },
  async (t) => {
    const site = createSite(t);
    cpSync(example, site.project, { recursive: true });
    const edit = (path: string, from: string, to: string): void => {
      const file = join(site.project, path);
      const before = readFileSync(file, "utf8");
      assert.ok(before.includes(from), `${path} does not hold ${from}`);
      writeFileSync(file, before.replace(from, to));
    };
    const bronze = async (wanted: number, args: string, input?: string): Promise<string> => {
      const { status, stdout, stderr } = await site.bronze(args.split(" "), input === undefined ? {} : { input });
      assert.equal(status, wanted, `bronze ${args} ended with ${status}\n${stdout}${stderr}`);
      return stdout + stderr;
    };
    edit("bronze.yaml", "staging: {}", "staging: { rollback: { watch: 1s } }");
    rmSync(join(site.project, irreversible));

    assert.match(await bronze(4, "up --http-port 0"), /DB_PASSWORD has no value[^]*bronze secret set DB_PASSWORD/);
    for (const app of ["db", "shop"])
      for (const environment of ["staging", "production"])
        await bronze(0, `secret set DB_PASSWORD --app ${app} -e ${environment}`, "not to be guessed");
    assert.match(
      await bronze(0, "up"),
      /db-staging-v1-1 healthy[^]*v1-test-1 ended with status 0[^]*v1-release-1 ended with status 0[^]*answered \/orders with 200/,
    );
    const { url } = (await site.json<StatusReport>(["status"])).daemon;
    const staging = "staging.shop.example";
    const page = async (path: string, host = staging): Promise<string> => {
      const { status, body } = await get(`${url}${path}`, { host });
      assert.equal(status, 200, body);
      return body;
    };
    const isPacked = async (item: string): Promise<boolean> => (await page("/orders")).includes(`${item}: sent`);

    // What users see of it: the web process, the worker's work, a file that outlives instances.
    assert.equal(await page("/"), "Hello from v1 in staging\n");
    assert.equal(await post(`${url}/orders`, staging, "bell"), 200);
    await eventually("the worker has packed the order", () => isPacked("bell"));
    assert.equal(await post(`${url}/notes`, staging, "ring twice"), 200);

    const asking = keepAsking(`${url}/healthz`, 20, { host: staging });
    t.after(() => asking.stop());
    await bronze(0, "config set GREETING=Ahoy --app shop");
    assert.equal(await page("/"), "Ahoy from v2 in staging\n");

    // A migration that fails leaves traffic, worker and data as they were.
    writeFileSync(join(site.project, irreversible), "ALTER TABLE orders DROP COLUMN none;\n");
    assert.match(await bronze(5, "up --app shop"), /column "none"[^]*all traffic is still on v2/);
    assert.equal(await page("/"), "Ahoy from v2 in staging\n");
    assert.equal(await post(`${url}/orders`, staging, "rope"), 200);
    await eventually("the worker of what is live goes on", () => isPacked("rope"));

    // One that cannot be undone; who goes back all the same is told.
    cpSync(join(example, irreversible), join(site.project, irreversible));
    edit("bronze.yaml", "reversible: true", "reversible: false");
    edit("bronze.yaml", "GREETING: Hello", "GREETING: Welcome");
    edit("web/orders.js", '"sent"', '"gone out"');
    edit("web/orders.test.js", '"bell: sent"', '"bell: gone out"');
    assert.match(await bronze(0, "up --app shop"), /GREETING=Ahoy/);
    assert.match(await page("/orders"), /bell: gone out/);
    await bronze(0, "config unset GREETING --app shop");
    assert.equal(await page("/"), "Welcome from v5 in staging\n");
    await bronze(0, "rollback v1 --app shop");
    assert.match(await page("/"), /^Hello from v[16] in staging/);
    assert.match(await page("/orders"), /bell: sent/);
    assert.equal(await page("/notes"), "ring twice\n");
    assert.equal(await post(`${url}/orders`, staging, "lamp"), 200);
    await eventually("the worker has come back", () => isPacked("lamp"));
    const { requests, failures } = await asking.stop();
    assert.deepEqual(failures, [], `of ${requests}`);

    // What is proven goes on, with the config and secrets that the next environment has now.
    assert.match(await bronze(0, "promote staging production"), /db[^]*shop/);
    assert.equal(await page("/", "shop.example"), "Welcome from v1 in production\n");
    assert.equal(await page("/orders", "shop.example"), "");
    assert.match(await bronze(3, "diff staging production --app shop"), /config +GREETING +Hello → Welcome/);
  },
);
