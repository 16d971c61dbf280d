import assert from "node:assert/strict";
import test from "node:test";
import { inOrderOfNeeds, type OrderedWork } from "./in-order.ts";

/** Works that log what happens; those in `failing` throw. */
function works(needs: Readonly<Record<string, readonly string[]>>, failing: readonly string[] = []) {
  const log: string[] = [];
  const list = Object.entries(needs).map(([app, own]): OrderedWork => ({
    app,
    needs: own,
    async run() {
      log.push(`begin ${app}`);
      await new Promise((resolve) => setImmediate(resolve));
      if (failing.includes(app)) throw new Error(`${app} failed`);
      log.push(`end ${app}`);
    },
    leftOut: (need) => void log.push(`no ${app} without ${need}`),
  }));
  return { list, log };
}

test("inOrderOfNeeds() begins each when what it needs has ended, the independent ones at once", async () => {
  const { list, log } = works({ shop: ["db", "cache"], db: [], cache: [], admin: ["shop"] });
  await inOrderOfNeeds(list);
  assert.deepEqual(log, [
    "begin db",
    "begin cache",
    "end db",
    "end cache",
    "begin shop",
    "end shop",
    "begin admin",
    "end admin",
  ]);
});

test("inOrderOfNeeds() leaves out what needs a failed one, ends the others, and throws the first failure", async () => {
  const { list, log } = works({ admin: ["shop"], shop: ["db"], db: [], cache: [] }, ["db"]);
  await assert.rejects(inOrderOfNeeds(list), /^Error: db failed$/);
  assert.deepEqual(log.toSorted(), [
    "begin cache",
    "begin db",
    "end cache",
    "no admin without shop",
    "no shop without db",
  ]);
});

test("inOrderOfNeeds() takes a need that is none of the works for met", async () => {
  const { list, log } = works({ shop: ["elsewhere"] });
  await inOrderOfNeeds(list);
  assert.deepEqual(log, ["begin shop", "end shop"]);
});
