import assert from "node:assert/strict";
import test from "node:test";
import { createTimerHeap, type Timer } from "./timer-heap.ts";

test("createTimerHeap() gives timers in order of time, those of one moment in order of coming, whatever is taken out between", () => {
  let state = 7;
  const roll = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
  for (let round = 0; round < 200; round += 1) {
    const heap = createTimerHeap();
    let there: Timer[] = [];
    for (let order = 0; order < 60; order += 1) {
      const timer: Timer = { atMs: roll(10), order, callback: () => {}, isQuiet: false, place: -1 };
      heap.add(timer);
      there.push(timer);
      const other = there[roll(there.length)];
      if (roll(4) === 0 && other !== undefined) {
        heap.remove(other);
        heap.remove(other);
        there = there.filter((one) => one !== other);
      }
      assert.equal(heap.size(), there.length);
    }
    there.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    assert.deepEqual(
      there.filter(({ atMs }) => atMs <= 5).map(({ order }) => order),
      Array.from({ length: there.length }, () => heap.takeDue(5)?.order).filter((order) => order !== undefined),
    );
  }
});
