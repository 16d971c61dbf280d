import assert from "node:assert/strict";
import test from "node:test";
import { parseDocument } from "yaml";
import { analysis as schema } from "../daemon/analysis-schema.ts";
import { defaultAnalysis, defaultErrorMetric, defaultMetric } from "../model/analysis.ts";
import { readAnalysis } from "./analysis.ts";
import { Lines } from "./lines.ts";
import { Reader } from "./reader.ts";

function read(text: string) {
  const reader = new Reader(parseDocument(text), new Lines(text));
  const analysis = readAnalysis(reader, reader.root());
  return { analysis, problems: reader.problems.map(({ line, column, message }) => `${line}:${column} ${message}`) };
}

test("readAnalysis() takes default, none and errors alone", () => {
  assert.deepEqual(read("default"), { analysis: defaultAnalysis, problems: [] });
  assert.deepEqual(read("none"), { analysis: null, problems: [] });
  assert.deepEqual(read("[errors]"), { analysis: defaultAnalysis, problems: [] });
});

test("readAnalysis() takes metrics of every provider, and what it makes the API takes", () => {
  const { analysis, problems } = read(`
- errors: { floor: 0.5%, ratio: 2, requests: 100 }
  interval: 2s
- { router: p99, success: p99 <= 300, failure: result > 800, interval: 30s, count: 4, delay: 1m }
- name: orders
  prometheus:
    url: http://127.0.0.1:9090
    query: sum(rate(failed{release="$release"}[1m])) / sum(rate(all{release="$release"}[1m]))
  success: result < 5%
  failureLimit: 2
  inconclusiveLimit: 3
  errorLimit: 1
  successLimit: 5
- http: /check?of=$release
- { name: score, http: { url: https://judge.example/$set, json: 'checks[0].score' }, success: result in 90..100 }
- { command: [node, check.js, $release], count: 1 }
`);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    analysis?.metrics.map(({ name, provider }) => [name, provider.kind]),
    [
      ["errors", "error-rule"],
      ["p99", "router"],
      ["orders", "prometheus"],
      ["http", "http"],
      ["score", "http"],
      ["command", "command"],
    ],
  );
  const [errors, p99, orders, http, , command] = analysis?.metrics ?? [];
  assert.deepEqual(errors, {
    ...defaultErrorMetric,
    intervalMs: 2_000,
    provider: { kind: "error-rule", rule: { floor: 0.005, ratio: 2, leastRequests: 100 } },
  });
  assert.deepEqual(p99, {
    ...defaultMetric,
    name: "p99",
    provider: { kind: "router", quantity: "p99" },
    success: { of: "result", is: "<=", than: 300 },
    failure: { of: "result", is: ">", than: 800 },
    intervalMs: 30_000,
    count: 4,
    initialDelayMs: 60_000,
  });
  assert.deepEqual(
    [orders?.failureLimit, orders?.inconclusiveLimit, orders?.errorLimit, orders?.successLimit],
    [2, 3, 1, 5],
  );
  assert.deepEqual(http?.success, { of: "status", is: "in", from: 200, to: 299 });
  assert.deepEqual(command?.success, { of: "status", is: "==", than: 0 });
  assert.deepEqual(schema.parse(analysis), analysis);
});

test("readAnalysis() says what is wrong, and where", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["always", "1:1 must be default, none or a list of metrics"],
    ["[]", "1:1 names no metric"],
    ["[latency]", "1:2 must be errors or a mapping"],
    ["[{ interval: 5s }]", "1:2 must say where its values come from"],
    ["[{ router: p99, http: /x, success: result < 1 }]", "1:23 only one of"],
    ["[{ router: p98, success: result < 1 }]", '1:12 the router does not measure "p98"; did you mean p90?'],
    ["[{ router: p99 }]", "1:2 needs success: or failure:"],
    ["[{ router: p99, success: p95 < 1 }]", '1:26 Cannot use "p95 < 1" as a condition'],
    ["[{ router: p99, success: p99 < -3 }]", "1:26 p99 is never less than 0"],
    ["[{ router: p99, failure: result in -5..5 }]", "1:26 p99 is never less than 0"],
    ["[{ router: errors, success: errors < 5 }]", "1:29 errors is a share of the requests, from 0 to 1"],
    ["[{ router: p99, success: status < 3 }]", "1:26 the router has no status to compare"],
    ["[errors, errors]", '1:10 a metric "errors" is there already'],
    ["[{ errors: { floor: 80% } }]", "1:21 must be a share"],
    ["[{ errors: {}, success: result < 1 }]", "1:25 errors: is judged by its own rule"],
    ["[{ http: ftp://x/ }]", "1:10 must be an address"],
    ["[{ http: 'http://me:secret@host/' }]", "1:10 must hold no name and password"],
    ["[{ http: { url: /x, json: a..b } }]", "1:27 must name a value of the answer"],
    ["[{ http: /x?of=$relase }]", "1:10 $relase stands for nothing; did you mean $release?"],
    ["[{ prometheus: { url: 'http://x' }, success: result < 1 }]", "1:16 needs query:"],
    ["[{ command: node check.js }]", "1:13 must be a list of words"],
    ["[{ http: /x, interval: 10ms }]", "1:24 must be from 1s to 1h"],
    ["[{ http: /x, failureLimits: 3 }]", '1:14 unknown key, did you mean "failureLimit"?'],
    ["[{ http: /x, name: A b }]", "1:20 must be 1 to 32"],
    ["[{ http: /x, count: 0 }]", "1:21 must be a whole number from 1"],
  ];
  for (const [text, expected] of cases) {
    const { problems } = read(text);
    assert.equal(problems.length, 1, `${text}: ${problems.join(" | ")}`);
    assert.ok(problems[0]?.startsWith(expected), `${text}: ${problems[0]}`);
  }
  assert.equal(
    read(`[${Array.from({ length: 11 }, (_, i) => `{ http: /, name: m${i} }`).join(", ")}]`).analysis,
    undefined,
  );
});
