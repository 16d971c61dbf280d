import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { changeConfig } from "../controller/config.ts";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { foldEvents } from "../ledger/fold.ts";
import { effectiveConfig, type Config, type ConfigOverrides } from "../model/config.ts";
import { asked, done, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const name = fc.constantFrom("A", "B", "C");
const value = fc.constantFrom("1", "2");
const config = fc.dictionary(name, value, { noNullPrototype: true });
const step = fc.oneof(
  fc.record({ kind: fc.constant("deploy" as const), code: fc.constantFrom("one", "two"), config }),
  fc.record({
    kind: fc.constant("set" as const),
    set: fc.dictionary(name, fc.option(value), { minKeys: 1, noNullPrototype: true }),
  }),
  fc.record({ kind: fc.constant("unset" as const) }),
  fc.record({ kind: fc.constant("rollback" as const), to: fc.nat(20) }),
  fc.record({ kind: fc.constant("restart" as const) }),
);

const small = (code: string) => request(code, { instances: 1, watchMs: 0, keepWarmMs: 3_000 });

/** What should be so, kept beside the product by other means: what each content was made of when it was last live. */
interface Expected {
  code: string;
  defined: Config;
  overrides: ConfigOverrides;
}

test("after any sequence of deploys, config changes and rollbacks, what runs is what the release was made of", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 10 }), async (steps) => {
      const world = createWorld();
      let controller = await world.startController();

      let expected: Expected = { code: "one", defined: {}, overrides: {} };
      const byContent = new Map([["v1", expected]]);
      await done(world, deploy(controller, small("one")));
      for (const one of steps) {
        const record = recordOf(controller);
        const known = [...record.releases.values()];
        if (one.kind === "deploy") {
          await done(world, deploy(controller, { ...small(one.code), config: one.config }));
          expected = { ...expected, code: one.code, defined: one.config };
        } else if (one.kind === "set") {
          await done(world, changeConfig(controller, { ...asked, set: one.set }));
          expected = { ...expected, overrides: { ...expected.overrides, ...one.set } };
        } else if (one.kind === "unset") {
          await done(world, changeConfig(controller, { ...asked, unsetAll: true }));
          expected = { ...expected, overrides: {} };
        } else if (one.kind === "rollback") {
          const target = known[one.to % known.length];
          assert.ok(target);
          const before = byContent.get(`v${target.of ?? target.number}`);
          const { created } = await done(world, rollback(controller, { ...asked, to: target.number }));
          if (created) expected = before ?? expected;
        } else {
          await controller.stop();
          controller = await world.startController();
        }
        const now = recordOf(controller);
        const live = now.releases.get(now.live?.release ?? 0);
        assert.ok(live);
        byContent.set(`v${live.of ?? live.number}`, expected);
        const { defined, overrides, code } = expected;
        assert.deepEqual(now.configOrigin, { defined, overrides });
        assert.deepEqual(live.content.config, effectiveConfig(defined, overrides));
        assert.equal(live.content.artifact, request(code).artifact);
        // What instances were started with.
        assert.deepEqual(now.sets.get(now.live?.set ?? live.set)?.content, live.content);
        await world.clock.advance(1_000);
      }
      assert.deepEqual(foldEvents(world.journal.read()), controller.state);
      await controller.stop();
    }),
    { numRuns: 40 },
  );
});
