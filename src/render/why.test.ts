import assert from "node:assert/strict";
import test from "node:test";
import type { EventData, LedgerEvent } from "../ledger/event.ts";
import { sha256 } from "../model/canonical.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import { decide } from "../rollout/decisions/decide.ts";
import { plainPaint } from "./paint.ts";
import { renderWhy } from "./why.ts";

const inIt = { app: parseAppName("shop"), environment: parseEnvironmentName("production") };
const event = (seq: number, data: EventData): LedgerEvent => ({
  seq,
  atMs: seq * 1_000,
  data,
  prev: sha256(""),
  hash: sha256(""),
});

test("renderWhy() tells each decision with its rule, numbers and outcome, between what else happened", () => {
  const decision = decide("baseline", { release: 1, recent: { requests: 100, errors: 9 }, usable: 2 });
  const made = { kind: "decision.made", ...inIt, release: 2, ...decision } as unknown as EventData;
  const proven: EventData = { kind: "release.proven", ...inIt, release: 2, reason: "watched" };
  const report = { ...inIt, release: 2, events: [event(1, made), event(2, proven)] };
  assert.deepEqual(renderWhy(report, plainPaint), [
    "v2 of shop in production",
    "1970-01-01 00:00:01Z  v1 failed 9 of 100 requests of its last 60 s (9 %): nothing is analysed, so that what mends it can come",
    "    rule baseline, event 1",
    "    from release 1, recent.requests 100, recent.errors 9, usable 2",
    "    to   skip true",
    "1970-01-01 00:00:02Z  v2 proven (watched)",
  ]);
});

test("renderWhy() bounds what it shows of a decision", () => {
  const inputs = {
    list: Array.from({ length: 50 }, (_, i) => i),
    ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`n${i}`, i])),
  };
  const made: EventData = { kind: "decision.made", ...inIt, release: 2, rule: "r", inputs, outcome: {}, sentence: "s" };
  const from = renderWhy({ ...inIt, release: 2, events: [event(1, made)] }, plainPaint)[3] ?? "";
  assert.match(from, /^ {4}from list 50 entries, n0 0, .*, n22 22, and 17 more$/);
});
