import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { MetricAnswer, MetricQuery, Metrics } from "./metrics.ts";

/** Where a query is answered as the suite wants it. */
export interface MetricsFixture {
  readonly metrics: Metrics;
  /** A query that gets this answer. */
  query(kind: MetricQuery["kind"], answer: MetricAnswer): MetricQuery;
  /** A query that nobody answers before the signal. */
  endless(kind: MetricQuery["kind"]): MetricQuery;
}

/** What every driver of metrics does, of every kind. */
export function metricsSuite(name: string, open: (t: TestContext) => MetricsFixture | Promise<MetricsFixture>): void {
  const never = new AbortController().signal;
  for (const kind of ["prometheus", "http", "command"] as const) {
    test(`${name}: measure() gives the number of a ${kind} query, also a negative and a broken one`, async (t) => {
      const { metrics, query } = await open(t);
      for (const result of [0, 42, -1.5, 0.000_1]) {
        const values = { result, ...(kind === "prometheus" ? {} : { status: kind === "http" ? 200 : 0 }) };
        assert.deepEqual(await metrics.measure(query(kind, { kind: "values", values }), never), {
          kind: "values",
          values,
        });
      }
    });

    test(`${name}: measure() of a ${kind} query that cannot be answered is an error with a reason`, async (t) => {
      const { metrics, query } = await open(t);
      const answer = await metrics.measure(query(kind, { kind: "error", reason: "" }), never);
      assert.equal(answer.kind, "error");
      assert.ok(answer.kind === "error" && answer.reason !== "" && answer.reason.length <= 300);
    });

    test(`${name}: measure() of a ${kind} query ends with its signal`, async (t) => {
      const { metrics, endless } = await open(t);
      const stop = new AbortController();
      const answer = metrics.measure(endless(kind), stop.signal);
      setTimeout(() => stop.abort(), 20);
      assert.equal((await answer).kind, "error");
      assert.equal((await metrics.measure(endless(kind), stop.signal)).kind, "error");
    });
  }

  test(`${name}: measure() of a Prometheus query without samples has nothing to tell`, async (t) => {
    const { metrics, query } = await open(t);
    const answer = await metrics.measure(query("prometheus", { kind: "nothing", reason: "" }), never);
    assert.equal(answer.kind, "nothing");
  });

  test(`${name}: measure() tells a status that is no success as it is`, async (t) => {
    const { metrics, query } = await open(t);
    for (const [kind, status] of [
      ["http", 503],
      ["command", 3],
    ] as const) {
      const values = { status };
      assert.deepEqual(await metrics.measure(query(kind, { kind: "values", values }), never), {
        kind: "values",
        values,
      });
    }
  });
}
