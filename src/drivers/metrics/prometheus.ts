import type { MetricAnswer, MetricQuery } from "../../ports/metrics.ts";
import { exchange } from "./exchange.ts";

type Query = Extract<MetricQuery, { kind: "prometheus" }>;

/** Longest piece of a server's own error that is repeated, in characters. */
const mostSaid = 200;

/**
 * Asks for the value of a query now: a scalar, or a vector of one sample.
 *
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/, instant queries
 */
export async function askPrometheus({ url, query }: Query, signal: AbortSignal): Promise<MetricAnswer> {
  const below = url.endsWith("/") ? url : `${url}/`;
  const form = new URLSearchParams({ query }).toString();
  const answer = await exchange({ url: new URL("api/v1/query", below), headers: {}, form }, signal);
  if ("failed" in answer) return { kind: "error", reason: `Prometheus ${answer.failed}` };
  return readAnswer(answer.status, answer.body);
}

function readAnswer(status: number, text: string): MetricAnswer {
  const body = parsed(text);
  const error = field(body, "error");
  if (status !== 200 || field(body, "status") !== "success") {
    const said = typeof error === "string" ? `: ${error.slice(0, mostSaid)}` : "";
    return { kind: "error", reason: `Prometheus answered ${status}${said}` };
  }
  const data = field(body, "data");
  const type = field(data, "resultType");
  const result = field(data, "result");
  if (type === "scalar") return sample(result);
  if (type !== "vector" || !Array.isArray(result))
    return {
      kind: "error",
      reason: `Prometheus gave a ${typeof type === "string" ? type.slice(0, 20) : "thing"}, one number is needed`,
    };
  if (result.length === 0) return { kind: "nothing", reason: "Prometheus has no samples" };
  if (result.length > 1)
    return {
      kind: "error",
      reason: `Prometheus gave ${result.length} series, one is needed: put sum(…) round the query`,
    };
  return sample(field(result[0], "value"));
}

/** A time and a value in text. NaN is what nothing divided by nothing gives. */
function sample(pair: unknown): MetricAnswer {
  const text = Array.isArray(pair) ? (pair[1] as unknown) : undefined;
  if (text === "NaN") return { kind: "nothing", reason: "Prometheus gave NaN: there is nothing to divide by" };
  const result = typeof text === "string" && text !== "" ? Number(text) : Number.NaN;
  if (!Number.isFinite(result)) return { kind: "error", reason: "Prometheus gave no finite number" };
  return { kind: "values", values: { result } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
