import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { releaseRow } from "../controller/status.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { parseEnvironmentName } from "../model/names.ts";
import { asked, done, fails, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const staging = parseEnvironmentName("staging");
const host = (name: string) => ({ route: { host: name, path: "/" } });
const inStaging = (text: string): DeployRequest => ({
  ...request(text, host("staging.example")),
  environment: staging,
  config: { LEVEL: "debug" },
  commit: "a".repeat(40),
});
const inProduction = (text: string, promote = true): DeployRequest => ({
  ...request(text, host("example")),
  config: { LEVEL: "warn" },
  from: staging,
  commit: "b".repeat(40),
  ...(promote ? { promote } : {}),
});

test("a promotion releases what is live and proven in the environment before, with its own config and settings", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const nothing = await fails(world, deploy(controller, inProduction("one")), "PROMOTION_DENIED");
  assert.match(nothing.message, /nothing is live in staging/);
  await done(world, deploy(controller, inStaging("one")));
  await world.clock.advance(20_000);
  const watched = await fails(world, deploy(controller, inProduction("one")), "PROMOTION_DENIED");
  assert.match(watched.message, /v1 is live in staging and not proven: it is watched for another 40 s/);
  await world.clock.advance(41_000);
  const other = await fails(world, deploy(controller, inProduction("two")), "PROMOTION_DENIED");
  assert.match(other.message, /another artifact went live in staging/);
  assert.equal(controller.state.environments.size, 1);

  const { record, release } = await done(world, deploy(controller, inProduction("one")));
  const row = releaseRow(record, release);
  assert.deepEqual(
    [row.release, row.promoted, row.commit],
    [1, { environment: "staging", release: 1 }, "a".repeat(40)],
  );
  assert.deepEqual(release.content.config, { LEVEL: "warn" });
  assert.equal(release.content.artifact, request("one").artifact);
  assert.equal(record.settings.route?.host, "example");
  assert.deepEqual((await world.router.observe()).rules.map(({ route, stable }) => `${route.host} ${stable}`).sort(), [
    "example shop-production-v1",
    "staging.example shop-staging-v1",
  ]);
  const again = await done(world, deploy(controller, inProduction("one")));
  assert.equal(again.created, false);
  await controller.stop();
});

test("a deploy comes into an environment with one before it only by an artifact that was proven there, live or not", async () => {
  const world = createWorld();
  const controller = await world.startController();
  for (const text of ["one", "two"]) {
    await done(world, deploy(controller, inStaging(text)));
    await world.clock.advance(61_000);
  }
  await done(world, deploy(controller, inStaging("three")));
  const never = await fails(world, deploy(controller, inProduction("three", false)), "PROMOTION_DENIED");
  assert.match(never.message, /never proven in staging/);
  const { release } = await done(world, deploy(controller, inProduction("one", false)));
  assert.deepEqual(release.promoted, { environment: "staging", release: 1 });
  // What staging goes back to was proven there before, and what production goes back to asks nobody.
  await world.clock.advance(61_000);
  await done(world, rollback(controller, { ...asked, environment: staging, to: 1 }));
  await done(world, deploy(controller, inProduction("two", false)));
  await world.clock.advance(61_000);
  const back = await done(world, rollback(controller, asked));
  assert.deepEqual([back.release.of, recordOf(controller).live?.release], [1, 3]);
  await controller.stop();
});
