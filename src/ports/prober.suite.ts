import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Prober, ProbeResult, ProbeTarget } from "./prober.ts";

/** Those who are probed. */
export interface ProberBench {
  readonly prober: Prober;
  /** One that answers requests with a status. */
  readonly answering: (status: number) => Promise<ProbeTarget>;
  /** One that takes connections and never answers. */
  readonly silent: () => Promise<ProbeTarget>;
  /** One that is there, but does not listen yet. */
  readonly deaf: () => Promise<ProbeTarget>;
  /** Waits for a result, and lets so much time pass meanwhile. */
  whileTimePasses<T>(ms: number, result: Promise<T>): Promise<T>;
}

/** What every prober does. */
export function proberSuite(name: string, open: (t: TestContext) => ProberBench): void {
  const mostMs = 10_000;
  const kindOf = ({ kind }: ProbeResult): string => kind;

  test(`${name}: probe() tells the status, whether it is a good one or not, and how long it took`, async (t) => {
    const { prober, answering, whileTimePasses } = open(t);
    for (const status of [200, 204, 404, 503]) {
      const target = await answering(status);
      const result = await whileTimePasses(mostMs, prober.probe(target, mostMs));
      assert.equal(result.kind === "answered" && result.status, status);
      assert.ok(result.latencyMs >= 0 && result.latencyMs < mostMs && typeof target.path === "string");
    }
  });

  test(`${name}: probe() without a path asks for a connection only`, async (t) => {
    const { prober, answering, whileTimePasses } = open(t);
    const target = { ...(await answering(503)), path: null };
    assert.equal(kindOf(await whileTimePasses(mostMs, prober.probe(target, mostMs))), "accepted");
  });

  test(`${name}: probe() of one that takes the request and says nothing is a time-out, after that time`, async (t) => {
    const { prober, silent, whileTimePasses } = open(t);
    const result = await whileTimePasses(60, prober.probe(await silent(), 60));
    assert.equal(result.kind, "timeout");
    assert.ok(result.latencyMs >= 59, `${result.latencyMs}`);
  });

  test(`${name}: probe() of one that does not listen, or not at that port, is refused`, async (t) => {
    const { prober, deaf, answering, whileTimePasses } = open(t);
    const [none, other] = [await deaf(), await answering(200)];
    for (const target of [none, { ...none, path: null }, { ...other, port: 1 }])
      assert.equal(kindOf(await whileTimePasses(mostMs, prober.probe(target, mostMs))), "refused");
  });

  test(`${name}: probe() asks many at once, each for itself`, async (t) => {
    const { prober, silent, answering, whileTimePasses } = open(t);
    const targets = [await answering(200), await silent(), await answering(500)];
    const results = Promise.all(targets.map((target) => prober.probe(target, 200)));
    assert.deepEqual((await whileTimePasses(200, results)).map(kindOf), ["answered", "timeout", "answered"]);
  });
}
