import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { InstanceName, SetName } from "../../model/names.ts";
import type { RoutedSet, RouteRule } from "../../ports/router.ts";
import { assignSlots, emptyRecord, parseRecord, takeOut, type PoolRecord } from "./record.ts";
import { latencyBoundsMs, parseRequestLine, TrafficFold, type RequestLine } from "./request-log.ts";
import { decodeRule, encodeRule, parseRoutes, renderRoutes } from "./routes.ts";
import { slotCommands } from "./slots.ts";
import { parseOldWorkers, parseServersState, parseSessions, type ServerState } from "./tables.ts";

const setOf = (n: number): SetName => `shop-production-v${n}` as SetName;
const routed = (n: number, ordinals: readonly number[]): RoutedSet => ({
  set: setOf(n),
  endpoints: ordinals.map((ordinal) => ({
    instance: `${setOf(n)}-${ordinal}` as InstanceName,
    address: `10.1.${n}.${ordinal}`,
    port: 8080,
  })),
});
const line = (text: string): RequestLine | undefined => parseRequestLine(Buffer.from(text));

test("parseRequestLine() reads what the log format writes", () => {
  assert.deepEqual(line("812 7 shop-production-v12 200 3 -- 512 0 s1"), {
    pid: 812,
    number: 7,
    set: setOf(12),
    status: 200,
    activeMs: 3,
    termination: "--",
  });
  assert.equal(line("812 7 - 404 0 LR 90 0 <NOSRV>")?.set, "");
  assert.equal(line("812 7 a-b-v1 -1 -1 CR 0 0 <NOSRV>")?.status, 0);
});

test("parseRequestLine() refuses what is no request line", () => {
  for (const text of [
    "",
    "812",
    "x 7 a 200 3 --",
    "812 x a 200 3 --",
    "0 1 a 200 3 --",
    "812 7 a OK 3 --",
    "812 7 a 200 3",
    "812  7 a 200 3 --",
  ])
    assert.equal(line(text), undefined, text);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseRequestLine(Buffer.from(bytes))));
});

const add = (fold: TrafficFold, number: number, nowMs: number, part: Partial<RequestLine> = {}): void =>
  fold.add({ pid: 1, number, set: setOf(1), status: 200, activeMs: 3, termination: "--", ...part }, nowMs);

test("TrafficFold keeps a set's counts for a while after it has no place, and for good when it gets one again", () => {
  const fold = new TrafficFold("e");
  const requests = (): number | undefined => fold.counts().get(setOf(1))?.requests;
  add(fold, 1, 0);
  fold.forget(setOf(1), 0);
  add(fold, 2, 1_000);
  fold.check(1_999);
  assert.equal(requests(), 2);
  fold.check(2_000);
  assert.equal(requests(), undefined);
  add(fold, 3, 2_500);
  fold.forget(setOf(1), 3_000);
  fold.know(setOf(1));
  fold.check(9_000);
  assert.equal(requests(), 1);
});

test("TrafficFold counts classes, aborts and latencies", () => {
  const fold = new TrafficFold("e");
  const parts: Partial<RequestLine>[] = [
    {},
    { status: 404 },
    { status: 503, termination: "SC" },
    { status: 200, termination: "SD" },
    { status: 0, termination: "CR" },
    { status: 101, termination: "CD", activeMs: 9e6 },
    { set: "" },
  ];
  parts.forEach((part, index) => add(fold, index + 1, 0, part));
  const counts = fold.counts().get(setOf(1))!;
  assert.deepEqual(counts.status, { "1xx": 1, "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 1 });
  assert.deepEqual([counts.requests, counts.aborted, counts.gap], [6, 2, false]);
  assert.equal(counts.latency.counts[latencyBoundsMs.indexOf(3)], 5);
});

test("TrafficFold sees lost lines, whatever order the others come in", () => {
  const shuffled = fc.shuffledSubarray(
    Array.from({ length: 40 }, (_, n) => n + 5),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(shuffled, (numbers) => {
      const fold = new TrafficFold("e");
      for (const number of numbers) add(fold, number, 0);
      fold.check(2_000);
      const complete = Math.max(...numbers) - Math.min(...numbers) + 1 === numbers.length;
      assert.equal(fold.counts().get(setOf(1))!.gap, !complete);
    }),
  );
});

test("TrafficFold shows a gap for ten minutes, then counts anew under another epoch", () => {
  const fold = new TrafficFold("e");
  add(fold, 1, 0);
  fold.gap("test", 0);
  fold.check(599_000);
  const during = fold.counts().get(setOf(1))!;
  assert.deepEqual([during.gap, during.requests], [true, 1]);
  fold.check(601_000);
  const after = fold.counts().get(setOf(1))!;
  assert.deepEqual([after.gap, after.requests], [false, 0]);
  assert.notEqual(after.epoch, during.epoch);
});

test("assignSlots() lets instances that stay keep their slot and gives no slot twice", () => {
  const step = fc.record({
    set: fc.integer({ min: 1, max: 90 }),
    ordinals: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      let record: PoolRecord = emptyRecord;
      for (const { set, ordinals } of steps) {
        const before = record.sets.find((placed) => placed.set === setOf(set));
        record = assignSlots(record, routed(set, ordinals));
        const placed = record.sets.find((candidate) => candidate.set === setOf(set));
        assert.deepEqual(
          (placed?.slots ?? []).map((slot) => slot.instance).sort(),
          routed(set, ordinals)
            .endpoints.map((endpoint) => endpoint.instance)
            .sort(),
        );
        for (const slot of placed?.slots ?? []) {
          const earlier = before?.slots.find((candidate) => candidate.instance === slot.instance);
          if (earlier !== undefined) assert.equal(slot.slot, earlier.slot);
        }
        assert.equal(new Set(record.sets.map((other) => other.backend)).size, record.sets.length);
        for (const other of record.sets) {
          assert.ok(
            other.backend < record.backends &&
              other.slots.every((slot) => slot.slot >= 1 && slot.slot <= record.slotsEach),
          );
          assert.equal(new Set(other.slots.map((slot) => slot.slot)).size, other.slots.length);
        }
      }
      assert.deepEqual(parseRecord(JSON.stringify(record)), record);
    }),
    { numRuns: 50 },
  );
});

test("assignSlots() is idempotent and keeps instances drained until they have gone", () => {
  const record = assignSlots(emptyRecord, routed(1, [1, 2]));
  assert.deepEqual(assignSlots(record, routed(1, [1, 2])), record);
  const drained = takeOut(record, setOf(1), [`${setOf(1)}-2` as InstanceName]);
  assert.deepEqual(
    drained.sets[0]!.slots.map((slot) => slot.out),
    [false, true],
  );
  assert.deepEqual(assignSlots(drained, routed(1, [1, 2])), drained);
  const back = assignSlots(assignSlots(drained, routed(1, [1])), routed(1, [1, 2]));
  assert.deepEqual(
    back.sets[0]!.slots.map((slot) => slot.out),
    [false, false],
  );
});

test("encodeRule() and decodeRule() are inverse, through the map file too", () => {
  const rules: RouteRule[] = [
    { route: { host: null, path: "/" }, stable: setOf(1) },
    { route: { host: "shop.example", path: "/api/" }, stable: setOf(1), canaries: [{ set: setOf(2), weight: 250 }] },
    {
      route: { host: null, path: "/" },
      stable: setOf(1),
      canaries: [
        { set: setOf(2), weight: 0 },
        { set: setOf(3), weight: 9_000 },
        { set: setOf(4), weight: 1_000 },
      ],
      hold: true,
    },
  ];
  for (const rule of rules) {
    const entry = encodeRule(rule, (set) => Number(set.slice(-1)));
    const [[key, value]] = [...parseRoutes(renderRoutes(new Map([[entry.key, entry.value]])))] as [[string, string]];
    assert.deepEqual(decodeRule({ key, value }), rule);
  }
  // What an earlier version wrote reads the same.
  assert.deepEqual(decodeRule({ key: "*/", value: "b3:shop-production-v1:250|b5:shop-production-v2" }), {
    route: { host: null, path: "/" },
    stable: setOf(1),
    canaries: [{ set: setOf(2), weight: 250 }],
  });
});

test("encodeRule() refuses weights, hosts and paths that could not stand in a map or a command", () => {
  const rule: RouteRule = { route: { host: null, path: "/" }, stable: setOf(1) };
  const bad: RouteRule[] = [
    { ...rule, canaries: [{ set: setOf(2), weight: 10_001 }] },
    { ...rule, canaries: [{ set: setOf(2), weight: 0.5 }] },
    { ...rule, route: { host: "Shop", path: "/" } },
    { ...rule, route: { host: "a b", path: "/" } },
    { ...rule, route: { host: null, path: "/a" } },
    { ...rule, route: { host: null, path: "/a;show info/" } },
    { ...rule, route: { host: null, path: "/a\nb/" } },
  ];
  for (const each of bad) assert.throws(() => encodeRule(each, () => 0), { code: "ARGUMENT_INVALID" });
});

test("slotCommands() readies what comes before it takes out what goes, and is empty when all is as wanted", () => {
  const record = assignSlots(assignSlots(emptyRecord, routed(1, [1])), routed(1, [2]));
  const placed = record.sets[0]!;
  const state = (server: string, address: string, port: number, ready: boolean): [string, ServerState] => [
    `b0/${server}`,
    { backend: "b0", server, address, port, ready },
  ];
  const before = new Map([state("s1", "10.1.1.1", 8080, true), state("s2", "127.0.0.1", 1, false)]);
  assert.deepEqual(slotCommands("b0", placed.slots, before), [
    "set server b0/s2 addr 10.1.1.2 port 8080",
    "set server b0/s2 state ready",
    "set server b0/s1 state maint",
    "set server b0/s1 addr 127.0.0.1 port 1",
  ]);
  const after = new Map([state("s1", "127.0.0.1", 1, false), state("s2", "10.1.1.2", 8080, true)]);
  assert.deepEqual(slotCommands("b0", placed.slots, after), []);
});

test("parseSessions() and parseServersState() never take an empty or foreign answer for nothing", () => {
  for (const text of ["", "\n", "> \n", "Unknown command", "# pxname,svname\nb0,s1"]) {
    assert.throws(() => parseSessions(text), RangeError);
    assert.throws(() => parseServersState(text), RangeError);
  }
  assert.throws(() => parseSessions("# pxname,svname,scur,addr\nb0,s1,,10.0.0.1:80\n"), RangeError);
  assert.deepEqual(parseSessions("# pxname,svname,scur,addr\nb0,s1,2,10.0.0.1:80\n\n"), [
    { backend: "b0", server: "s1", address: "10.0.0.1:80", current: 2 },
  ]);
});

test("parseOldWorkers() names the workers that a reload replaced", () => {
  const text =
    "#<PID>          <type>          <reloads>       <uptime>        <version>\n10              master          1               0d00h00m01s     2.6.12\n# workers\n14              worker          0               0d00h00m00s     2.6.12\n# old workers\n12              worker          1               0d00h00m01s     2.6.12\n# programs\n\n";
  assert.deepEqual(parseOldWorkers(text), [12]);
  assert.deepEqual(parseOldWorkers("# workers\n14 worker 0\n# programs\n"), []);
});
