import assert from "node:assert/strict";
import test from "node:test";
import type { StatusReport } from "../src/model/api/status.ts";
import { createSite, eventually, type DeployResult } from "./support/bronze.ts";
import { leaksOf, remainsOf, rightfulOf } from "./support/leaks.ts";

test("leaksOf() finds nothing of what is rightful and all of what is not", { timeout: 120_000 }, async (t) => {
  const site = createSite(t);
  await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write({ "root/www/index.html": "v2\n" });
  await site.json<DeployResult>(["up"]);
  const rightful = rightfulOf(await site.json<StatusReport>(["status"]), await site.releases());
  assert.deepEqual([rightful.instances.length, rightful.artifacts.length], [4, 2]);
  await eventually("nothing is leaked", () => leaksOf(site.state, rightful).length === 0);

  const first = rightful.instances.filter(({ name }) => name.includes("-v1-"));
  const found = leaksOf(site.state, { instances: first, artifacts: rightful.artifacts.slice(0, 1) });
  for (const kind of [/^process/, /^mount/, /^cgroup/, /interfaces/, /^backend/, /^slot/, /^file/])
    assert.ok(
      found.some((line) => kind.test(line)),
      `${String(kind)} in ${found.join("\n")}`,
    );
  const missing = { name: "shop-production-v9-1", set: "shop-production-v9" };
  const lacking = leaksOf(site.state, { ...rightful, instances: [...rightful.instances, missing] });
  assert.ok(lacking.some((line) => line.startsWith("shop-production-v9-1 has no process")));

  assert.ok(remainsOf(site.state).length > 10);
  assert.equal((await site.bronze(["down", "--all"])).status, 0);
  await eventually("nothing remains", () => remainsOf(site.state).length === 0);
});
