import assert from "node:assert/strict";
import test from "node:test";
import { defaultRunSettings } from "../model/content.ts";
import type { InstanceName } from "../model/names.ts";
import type { Clock } from "../ports/clock.ts";
import { Probing } from "./probing.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Instances whose probes are told one after the other, by a clock that is put forward by hand. */
function site(againMs: (name: InstanceName) => number | undefined) {
  let nowMs = 1_000;
  let timers: Timer[] = [];
  const asked: string[] = [];
  const clock: Clock = {
    now: () => nowMs,
    wall: () => nowMs,
    monotonic: () => nowMs,
    after(ms, callback) {
      const timer = { atMs: nowMs + ms, callback };
      timers.push(timer);
      return () => void (timers = timers.filter((one) => one !== timer));
    },
  };
  const probing = new Probing({
    clock,
    prober: {
      probe({ address }) {
        asked.push(`${nowMs} ${address}`);
        return Promise.resolve({ kind: "refused", latencyMs: 0 });
      },
    },
    onAnswer: againMs,
  });
  return {
    probing,
    asked,
    timers: () => timers.length,
    begin(name: string) {
      probing.begin(name as InstanceName, { address: name, port: 80, path: "/" }, defaultRunSettings.health);
    },
    end: (name: string) => probing.end(name as InstanceName),
    async pass(ms: number) {
      await Promise.resolve();
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers = timers.filter((one) => one !== next);
        nowMs = next.atMs;
        next.callback();
        await Promise.resolve();
      }
      nowMs = untilMs;
    },
  };
}

test("Probing asks those whose time comes together by one timer, in order, and each until it is told to end", async () => {
  const { begin, end, pass, asked, timers } = site((name) => (name === "late" ? 25 : 10));
  for (const name of ["a", "b", "late"]) begin(name);
  await pass(0);
  assert.deepEqual(asked.splice(0), ["1000 a", "1000 b", "1000 late"]);
  assert.equal(timers(), 2);
  await pass(10);
  assert.deepEqual(asked.splice(0), ["1010 a", "1010 b"]);
  end("a");
  await pass(10);
  assert.deepEqual(asked.splice(0), ["1020 b"]);
  end("b");
  assert.equal(timers(), 1, "nobody waits for the time of those that are gone");
  await pass(10);
  assert.deepEqual(asked.splice(0), ["1025 late"]);
});

test("Probing tells no answer of one that was ended meanwhile, and asks it no more", async () => {
  const told: InstanceName[] = [];
  const { begin, end, pass, asked, probing, timers } = site((name) => {
    told.push(name);
    if (name === "ends itself") end("ends itself");
    return name === "asked once" ? undefined : 10;
  });
  for (const name of ["gone", "ends itself", "asked once", "begun anew"]) begin(name);
  end("gone");
  begin("begun anew");
  await pass(0);
  assert.deepEqual(told.splice(0), ["ends itself", "asked once", "begun anew"]);
  assert.equal(asked.length, 5);
  await pass(10);
  assert.deepEqual(told.splice(0), ["begun anew"]);
  probing.stop();
  assert.equal(timers(), 0);
  await pass(1_000);
  assert.equal(asked.length, 6);
});
