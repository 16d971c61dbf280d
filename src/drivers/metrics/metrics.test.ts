import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { MetricAnswer, MetricQuery } from "../../ports/metrics.ts";
import { metricsSuite } from "../../ports/metrics.suite.ts";
import { numberAt } from "./http.ts";
import { createMetrics } from "./metrics.ts";

const never = new AbortController().signal;

/** A server that answers as Prometheus does, or as an app; `/never` not at all. */
async function serve(t: TestContext, answer: (path: string, body: string) => { status: number; body: string } | null) {
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += String(piece)));
    request.on("end", () => {
      const given = answer(request.url ?? "", body);
      if (given !== null) response.writeHead(given.status).end(given.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const success = (resultType: string, result: unknown) =>
  JSON.stringify({ status: "success", data: { resultType, result } });

metricsSuite("metrics of the machine", async (t) => {
  let given: MetricAnswer = { kind: "error", reason: "" };
  const url = await serve(t, (path) => {
    if (path.includes("never")) return null;
    const result = given.kind === "values" ? given.values.result : undefined;
    if (path.endsWith("/api/v1/query")) {
      if (given.kind === "error")
        return { status: 400, body: JSON.stringify({ status: "error", error: "parse error" }) };
      return {
        status: 200,
        body: success("vector", result === undefined ? [] : [{ metric: {}, value: [1, String(result)] }]),
      };
    }
    const status = given.kind === "values" ? (given.values.status ?? 200) : 500;
    return { status, body: JSON.stringify(result === undefined ? {} : { score: result }) };
  });
  return {
    metrics: createMetrics(),
    query(kind, answer): MetricQuery {
      given = answer;
      const refused = "http://127.0.0.1:1/";
      if (kind === "prometheus") return { kind, url: `${url}/prefix`, query: "up" };
      if (kind === "http") return { kind, url: answer.kind === "error" ? refused : url, headers: {}, json: "score" };
      const values = answer.kind === "values" ? answer.values : {};
      const line = `${values.result === undefined ? "" : `echo ${values.result};`} exit ${values.status ?? 0}`;
      return { kind, command: answer.kind === "error" ? ["/nowhere/check"] : ["sh", "-c", line], env: {} };
    },
    endless(kind): MetricQuery {
      if (kind === "prometheus") return { kind, url: `${url}/never`, query: "up" };
      return kind === "http"
        ? { kind, url: `${url}/never`, headers: {}, json: null }
        : { kind, command: ["sleep", "60"], env: {} };
    },
  };
});

// What Prometheus answers → what is made of it.
const answers: readonly (readonly [string, number, string, MetricAnswer["kind"]])[] = [
  ["a scalar", 200, success("scalar", [1, "0.25"]), "values"],
  ["NaN, as 0/0 gives", 200, success("vector", [{ value: [1, "NaN"] }]), "nothing"],
  ["infinity", 200, success("scalar", [1, "+Inf"]), "error"],
  ["two series", 200, success("vector", [{ value: [1, "1"] }, { value: [1, "2"] }]), "error"],
  ["a matrix", 200, success("matrix", []), "error"],
  ["a text", 200, success("string", [1, "x"]), "error"],
  ["no JSON", 200, "<html>", "error"],
  ["another JSON", 200, "[]", "error"],
  ["a refusal", 422, JSON.stringify({ status: "error", error: "x".repeat(9_999) }), "error"],
  ["too much", 200, `"${"x".repeat(70_000)}"`, "error"],
  ["a redirect", 302, "", "error"],
];
for (const [what, status, body, kind] of answers) {
  test(`measure() takes ${what} of Prometheus as ${kind}`, async (t) => {
    const url = await serve(t, () => ({ status, body }));
    const answer = await createMetrics().measure({ kind: "prometheus", url, query: "up" }, never);
    assert.equal(answer.kind, kind);
    if (answer.kind !== "values") assert.ok(answer.reason.length <= 300);
  });
}

test("measure() sends a query whole, whatever is in it, and headers as given", async (t) => {
  const asked: string[] = [];
  const url = await serve(t, (_, body) => (asked.push(body), { status: 200, body: success("scalar", [1, "1"]) }));
  const query = 'sum(rate(a{b="v2",c=~"x&y=z#\'%\n"}[1m]))';
  await createMetrics().measure({ kind: "prometheus", url, query }, never);
  assert.equal(new URLSearchParams(asked[0]).get("query"), query);
});

test("numberAt() finds numbers only, and nothing that the answer did not say", () => {
  const text = '{"a":{"b":[1,{"c":"2.5"}]},"yes":true,"text":"x","null":null}';
  assert.deepEqual(
    ["a.b[0]", "a.b[1].c", "yes", "text", "null", "a", "a.b[9]", "__proto__.x", "constructor.length", "a.b.length"].map(
      (path) => numberAt(text, path),
    ),
    [1, 2.5, 1, undefined, undefined, undefined, undefined, undefined, undefined, 2],
  );
  assert.equal(numberAt("no json", "a"), undefined);
});

test("measure() of a command runs it as nobody, with its words and little else, and ends all it started", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-metrics-"));
  chmodSync(folder, 0o777);
  t.after(() => rmSync(folder, { recursive: true }));
  const child = join(folder, "child");
  const line = `sleep 100 & echo $! >${child}; test "$BRONZE_RELEASE$HOME$PATH" = 2/usr/local/bin:/usr/bin:/bin || exit 9; echo; echo 7`;
  const answer = await createMetrics().measure(
    { kind: "command", command: ["sh", "-c", line], env: { BRONZE_RELEASE: "2" } },
    never,
  );
  assert.deepEqual(answer, { kind: "values", values: { status: 0, result: 7 } });
  const pid = readFileSync(child, "utf8").trim();
  for (let looks = 0; looks < 500 && runs(pid); looks += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(!runs(pid));
  const who = await createMetrics().measure({ kind: "command", command: ["id", "-u"], env: {} }, never);
  if (process.getuid?.() === 0) assert.deepEqual(who, { kind: "values", values: { status: 0, result: 65_534 } });
});

/** Whether a process is there and has not ended. */
function runs(pid: string): boolean {
  try {
    return !/\nState:\tZ/.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("measure() of a command that writes without end is an error", async () => {
  const answer = await createMetrics().measure({ kind: "command", command: ["yes"], env: {} }, never);
  assert.equal(answer.kind, "error");
});
