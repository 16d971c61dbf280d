import assert from "node:assert/strict";
import test from "node:test";
import { changeConfig } from "../controller/config.ts";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { revoke } from "../controller/revoke.ts";
import { rollback } from "../controller/rollback.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { applyEvent, foldEvents } from "../ledger/fold.ts";
import { blockOf } from "../ledger/revocations.ts";
import { emptyState, environmentKey } from "../ledger/state.ts";
import { sha256 } from "../model/canonical.ts";
import { rollbackTarget } from "../rollout/target.ts";
import { randomFrom } from "./random.ts";
import { mortal } from "./mortal.ts";
import { app, asked, done, environment, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const contents = ["a", "b", "c", "d", "e"] as const;
const bases = ["base", "tools"] as const;

/** No event releases or switches to what the ledger knew to be blocked then; but what is live may be changed. */
function checkLedger(events: Iterable<LedgerEvent>): void {
  const state = emptyState();
  for (const event of events) {
    const record = state.environments.get(environmentKey(app, environment));
    const { data } = event;
    if (record !== undefined && (data.kind === "release.created" || data.kind === "traffic.switching")) {
      const release = data.kind === "release.created" ? data : record.releases.get(data.release);
      const artifact = release?.content.artifact ?? sha256("none");
      const live = record.releases.get(record.live?.release ?? 0)?.content.artifact;
      if (artifact !== live)
        assert.equal(blockOf(state.revocations, artifact), undefined, `${data.kind} of ${data.release}`);
      assert.ok(data.kind !== "release.created" || data.release === record.lastRelease + 1, "a number was left out");
    }
    applyEvent(state, event);
  }
}

async function run(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const world = createWorld();
  const what = `seed ${seed}`;
  for (const text of contents)
    world.verifier.made(sha256(text), ...bases.filter(() => random.chance(40)).map((name) => sha256(name)));
  const settings = {
    revoked: random.pick(["replace", "report"]),
    watchMs: random.pick([0, 1_000]),
    keepWarmMs: 5_000,
  } as const;
  let dies = Number.POSITIVE_INFINITY;
  const start = (): Promise<Controller> =>
    world.startController((ports) =>
      mortal(ports, () => ((dies -= 1) < 0 ? random.pick(["before", "after"]) : undefined)),
    );
  let controller = await start();
  await done(world, deploy(controller, request("a", settings)));
  for (let act = 0; act < 14; act += 1) {
    const artifact = sha256(random.pick([...contents, ...bases]));
    const roll = random.below(100);
    if (roll < 45) deploy(controller, request(random.pick(contents), settings)).catch(() => {});
    else if (roll < 60) rollback(controller, asked).catch(() => {});
    else if (roll < 68) changeConfig(controller, { ...asked, set: { A: String(act) } }).catch(() => {});
    else revoke(controller, { artifact, who: "eve", why: "", undo: random.chance(35) }).catch(() => {});
    if (random.chance(15)) dies = random.below(12);
    await world.clock.advance(random.pick([0, 5, 400, 3_000]));
    if (dies >= 0) continue;
    void controller.stop();
    dies = Number.POSITIVE_INFINITY;
    controller = await start();
  }
  dies = Number.POSITIVE_INFINITY;
  await world.clock.advance(90_000);
  const record = recordOf(controller);
  const events = [...world.journal.read()];
  checkLedger(events);
  assert.deepEqual(foldEvents(events), controller.state, what);
  assert.equal(record.active, null, what);
  const target = rollbackTarget(record);
  assert.ok(target === undefined || blockOf(record.revocations, target.content.artifact) === undefined, what);
  const live = record.releases.get(record.live?.release ?? 0);
  const isBlocked = live !== undefined && blockOf(record.revocations, live.content.artifact) !== undefined;
  assert.ok(
    !isBlocked || settings.revoked === "report" || target === undefined,
    `${what}: what is revoked still serves`,
  );
  for (const { set } of controller.fleet.all())
    if (set !== record.live?.set) {
      const artifact = record.sets.get(set)?.content.artifact ?? sha256("none");
      assert.equal(blockOf(record.revocations, artifact), undefined, `${what}: ${set} is kept`);
    }
  await controller.stop();
}

test("whatever is asked for in whatever order, and whenever daemons die, nothing revoked goes live", async () => {
  for (let seed = 1; seed <= 30; seed += 1)
    await run(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
});
