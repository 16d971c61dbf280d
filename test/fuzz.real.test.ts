import assert from "node:assert/strict";
import test from "node:test";
import { apiTarget } from "./fuzz/api.ts";
import { startDaemon } from "./fuzz/daemon.ts";
import { runTarget, shareCases } from "./fuzz/target.ts";
import { pureTargets } from "./fuzz/targets.ts";

/** What `npm run fuzz` does, in a bounded run that is the same each time. */
const cases = 2_000;
const seed = 20_260_801;

test("nothing that reads what others wrote is brought down by it", { timeout: 240_000 }, async (t) => {
  const daemon = await startDaemon();
  t.after(() => daemon.stop());
  const targets = [...pureTargets, apiTarget(daemon.socket)];
  const shares = shareCases(targets, cases);
  let tried = 0;
  for (const [index, target] of targets.entries()) {
    const result = await runTarget(target, { cases: shares[index] ?? 1, seed });
    assert.equal(result.failure, undefined, `${target.name}: ${result.failure}`);
    tried += result.cases;
  }
  assert.ok(await daemon.alive());
  t.diagnostic(`${tried} cases of ${targets.length} kinds, seed ${seed}`);
});
