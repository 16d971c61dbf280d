import assert from "node:assert/strict";
import test from "node:test";
import type { Clock } from "./clock.ts";

/** A clock to try, and the way to let some of its time pass. */
export interface ClockBench {
  readonly clock: Clock;
  /** Resolves when at least so much has passed, in ms, and what was due is over. */
  pass(ms: number): Promise<void>;
}

/** Longer than a timer of the system can be set for, in ms: 2³¹ − 1, some 24.8 days. */
const veryLongMs = 40 * 86_400_000;

/** What every clock does. */
export function clockSuite(name: string, open: () => ClockBench): void {
  test(`${name}: after() calls back once, never within the call, in the order in which it is due`, async () => {
    const { clock, pass } = open();
    const told: string[] = [];
    clock.after(60, () => told.push("late"));
    clock.after(0, () => told.push("now"));
    clock.after(30, () => told.push("soon"));
    clock.after(32, () => told.push("later"));
    assert.deepEqual(told, []);
    await pass(100);
    await pass(100);
    assert.deepEqual(told, ["now", "soon", "later", "late"]);
  });

  test(`${name}: after() calls back no sooner than its time has passed, whatever part of a ms it is`, async () => {
    const { clock, pass } = open();
    const early: number[] = [];
    let told = 0;
    for (let ms = 1; ms < 41; ms += 0.7) {
      const began = clock.monotonic();
      clock.after(ms, () => {
        told += 1;
        const tookMs = clock.monotonic() - began;
        // Parts of a ms are not exact beside the time of day.
        if (tookMs < ms - 0.001) early.push(tookMs - ms);
      });
    }
    await pass(80);
    assert.deepEqual([told, early], [58, []]);
  });

  test(`${name}: what after() gives takes it back, also when it is over; one callback may take back another`, async () => {
    const { clock, pass } = open();
    const told: string[] = [];
    clock.after(5, () => told.push("taken back"))();
    const second = { cancel: (): void => {} };
    const first = clock.after(5, () => {
      told.push("first");
      second.cancel();
      clock.after(5, () => told.push("asked for in it"));
    });
    second.cancel = clock.after(20, () => told.push("second"));
    await pass(60);
    first();
    assert.deepEqual(told, ["first", "asked for in it"]);
  });

  test(`${name}: after() of more than a month does not call back at once`, async () => {
    const { clock, pass } = open();
    let told = false;
    const cancel = clock.after(veryLongMs, () => (told = true));
    await pass(30);
    cancel();
    assert.equal(told, false);
  });

  test(`${name}: now() is whole ms, and goes on as monotonic() does`, async () => {
    const { clock, pass } = open();
    const began = { now: clock.now(), monotonic: clock.monotonic() };
    let before = began.now;
    for (let time = 0; time < 20; time += 1) {
      await pass(1.3);
      const now = clock.now();
      assert.ok(Number.isSafeInteger(now) && now >= before, `${now} after ${before}`);
      before = now;
    }
    const [now, monotonic] = [clock.now() - began.now, clock.monotonic() - began.monotonic];
    assert.ok(now >= 20 && Math.abs(now - monotonic) <= 2, `${now} ms and ${monotonic} ms`);
    assert.ok(Number.isFinite(clock.wall()));
  });
}
