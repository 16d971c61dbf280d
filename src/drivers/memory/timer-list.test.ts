import assert from "node:assert/strict";
import test from "node:test";
import { createTimerList, type Timer } from "./timer-list.ts";

test("createTimerList() gives timers in order of time, those of one moment in order of coming, whatever is taken out between", () => {
  let state = 7;
  const roll = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
  for (let round = 0; round < 200; round += 1) {
    const list = createTimerList();
    let there: (Timer & { readonly order: number })[] = [];
    for (let order = 0; order < 60; order += 1) {
      const timer = { atMs: roll(10), order, callback: () => {}, isQuiet: false };
      list.add(timer);
      there.push(timer);
      const other = there[roll(there.length)];
      if (roll(4) === 0 && other !== undefined) {
        list.remove(other);
        list.remove(other);
        there = there.filter((one) => one !== other);
      }
      assert.equal(list.size(), there.length);
    }
    there.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    assert.deepEqual(
      Array.from({ length: there.length }, () => list.takeDue(5)).filter((timer) => timer !== undefined),
      there.filter(({ atMs }) => atMs <= 5),
    );
  }
});
