import {
  defaultAnalysis,
  defaultErrorMetric,
  defaultErrorRule,
  defaultMetric,
  leastIntervalMs,
  mostMeasurements,
  mostMetrics,
  parseCondition,
  problemOfCondition,
  routerQuantities,
  substitutedWords,
  unknownWord,
  type Analysis,
  type Condition,
  type ErrorRuleSettings,
  type Metric,
  type MetricProvider,
  type RouterQuantity,
} from "../model/analysis.ts";
import { nearestName } from "../model/nearest.ts";
import { parseDurationMs } from "../model/quantities.ts";
import { optional, readCommand } from "./build.ts";
import { keySets, metricSources } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";

const longestIntervalMs = 3_600_000;

/**
 * Reads `analysis`: `default`, `none` or a list of metrics.
 *
 * @returns null: there is to be none; undefined where it cannot be used
 */
export function readAnalysis(reader: Reader, place: Place): Analysis | null | undefined {
  if (reader.isText(place, "none")) return null;
  if (reader.isText(place, "default")) return defaultAnalysis;
  if (!reader.isList(place))
    return reader.problem(
      place,
      "must be default, none or a list of metrics, like [errors, { router: p99, success: result <= 300 }]",
    );
  const items = reader.list(place);
  if (items.length === 0) return reader.problem(place, "names no metric; for none at all write none");
  if (items.length > mostMetrics) reader.problem(place, `has ${items.length} metrics, at most ${mostMetrics} taken`);
  const taken = new Set<string>();
  const metrics = items.slice(0, mostMetrics).flatMap((item) => readMetric(reader, item, taken) ?? []);
  return metrics.length === items.length ? { metrics } : undefined;
}

function readMetric(reader: Reader, place: Place, taken: Set<string>): Metric | undefined {
  if (!reader.isMap(place)) {
    const text = reader.text(place);
    if (text === undefined) return undefined;
    if (text !== "errors")
      return reader.problem(place, `must be errors or a mapping with one of ${metricSources.join(", ")}`);
    return named(reader, place, defaultErrorMetric, taken);
  }
  const fields = reader.map(place, keySets.metric);
  const sources = metricSources.filter((source) => fields.has(source));
  const [source, second] = sources;
  const field = source === undefined ? undefined : fields.get(source);
  if (source === undefined || field === undefined)
    return reader.problem(place, `must say where its values come from: one of ${metricSources.join(", ")}`);
  const other = second === undefined ? undefined : fields.get(second);
  if (other !== undefined)
    return reader.problem(other, `only one of ${metricSources.join(", ")}; "${source}" is there too`);
  const provider = readProvider(reader, source, field);
  const defaults = provider?.kind === "error-rule" ? defaultErrorMetric : defaultMetric;
  const quantity = provider?.kind === "router" ? provider.quantity : undefined;
  const success = readCondition(reader, fields, "success", quantity);
  const failure = readCondition(reader, fields, "failure", quantity);
  const limit = (key: string, min: number): number | undefined =>
    optional(fields, key, (at) => reader.number(at, { min, max: mostMeasurements, integer: true }));
  const name = optional(fields, "name", (at) => readName(reader, at));
  const settings: Omit<Metric, "name" | "provider"> = {
    initialDelayMs: optional(fields, "delay", (at) => reader.parsed(at, parseDurationMs)) ?? defaults.initialDelayMs,
    intervalMs: optional(fields, "interval", (at) => readInterval(reader, at)) ?? defaults.intervalMs,
    count: limit("count", 1) ?? defaults.count,
    success: success ?? (failure === undefined ? usualSuccess(provider) : null),
    failure: failure ?? null,
    failureLimit: limit("failureLimit", 0) ?? defaults.failureLimit,
    inconclusiveLimit: limit("inconclusiveLimit", 0) ?? defaults.inconclusiveLimit,
    errorLimit: limit("errorLimit", 0) ?? defaults.errorLimit,
    successLimit: limit("successLimit", 1) ?? defaults.successLimit,
  };
  if (provider === undefined) return undefined;
  for (const key of ["success", "failure"]) {
    const condition = fields.get(key);
    if (condition !== undefined && provider.kind === "error-rule")
      reader.problem(condition, "errors: is judged by its own rule; for a condition of yours use router: errors");
  }
  // With neither it would measure and never find anything wrong.
  if (
    (provider.kind === "router" || provider.kind === "prometheus") &&
    success === undefined &&
    failure === undefined &&
    !fields.has("success") &&
    !fields.has("failure")
  )
    return reader.problem(place, "needs success: or failure:, like success: result < 0.05");
  return named(reader, place, { name: name ?? usualName(provider), provider, ...settings }, taken);
}

/** What is expected of an answer where nothing is said. */
function usualSuccess(provider: MetricProvider | undefined): Condition | null {
  if (provider?.kind === "http" && provider.json === null) return { of: "status", is: "in", from: 200, to: 299 };
  if (provider?.kind === "command") return { of: "status", is: "==", than: 0 };
  return null;
}

function usualName(provider: MetricProvider): string {
  if (provider.kind === "error-rule") return "errors";
  return provider.kind === "router" ? provider.quantity : provider.kind;
}

function named(reader: Reader, place: Place, metric: Metric, taken: Set<string>): Metric | undefined {
  if (taken.has(metric.name))
    return reader.problem(place, `a metric "${metric.name}" is there already; give this one a name:`);
  taken.add(metric.name);
  return metric;
}

function readName(reader: Reader, place: Place): string | undefined {
  const name = reader.text(place);
  if (name === undefined || /^[a-z][a-z0-9-]{0,31}$/.test(name)) return name;
  return reader.problem(place, "must be 1 to 32 lower-case letters, digits and dashes, beginning with a letter");
}

function readInterval(reader: Reader, place: Place): number | undefined {
  const ms = reader.parsed(place, parseDurationMs);
  if (ms === undefined || (ms >= leastIntervalMs && ms <= longestIntervalMs)) return ms;
  return reader.problem(place, "must be from 1s to 1h");
}

function readCondition(
  reader: Reader,
  fields: ReadonlyMap<string, Place>,
  key: string,
  quantity: RouterQuantity | undefined,
): Condition | undefined {
  return optional(fields, key, (field) => {
    const condition = reader.parsed(field, (text) => parseCondition(text, quantity));
    const problem =
      condition === undefined || quantity === undefined ? undefined : problemOfCondition(quantity, condition);
    return problem === undefined ? condition : reader.problem(field, problem);
  });
}

function readProvider(reader: Reader, source: string, place: Place): MetricProvider | undefined {
  switch (source) {
    case "errors":
      return { kind: "error-rule", rule: readErrorRule(reader, place) };
    case "router":
      return readQuantity(reader, place);
    case "prometheus":
      return readPrometheus(reader, place);
    case "http":
      return readHttp(reader, place);
    default: {
      const command = readCommand(reader, place);
      for (const word of command ?? []) checkWords(reader, place, word);
      return command === undefined || command.length === 0 ? undefined : { kind: "command", command };
    }
  }
}

function readErrorRule(reader: Reader, place: Place): ErrorRuleSettings {
  const fields = reader.map(place, keySets.errorRule);
  return {
    floor: optional(fields, "floor", (field) => readShare(reader, field)) ?? defaultErrorRule.floor,
    ratio:
      optional(fields, "ratio", (field) => reader.number(field, { min: 1, max: 100, integer: false })) ??
      defaultErrorRule.ratio,
    leastRequests:
      optional(fields, "requests", (field) => reader.number(field, { min: 1, max: 1_000_000, integer: true })) ??
      defaultErrorRule.leastRequests,
  };
}

/** A share from 0.01 % to 50 %, as `1%` or `0.01`. */
function readShare(reader: Reader, place: Place): number | undefined {
  const written = reader.text(place);
  const [, digits, percent] = /^([0-9]{1,3}(?:\.[0-9]{1,6})?)(%?)$/.exec(written ?? "") ?? [];
  const share = Number(digits) / (percent === "%" ? 100 : 1);
  if (written === undefined || (share >= 0.0001 && share <= 0.5)) return written === undefined ? undefined : share;
  return reader.problem(place, "must be a share of requests from 0.01% to 50%");
}

function readQuantity(reader: Reader, place: Place): MetricProvider | undefined {
  const name = reader.text(place);
  if (name === undefined) return undefined;
  if (isQuantity(name)) return { kind: "router", quantity: name };
  const near = nearestName(name, routerQuantities);
  const advice = near === undefined ? `it has ${routerQuantities.join(", ")}` : `did you mean ${near}?`;
  return reader.problem(place, `the router does not measure "${name}"; ${advice}`);
}

function isQuantity(name: string): name is RouterQuantity {
  return (routerQuantities as readonly string[]).includes(name);
}

function readPrometheus(reader: Reader, place: Place): MetricProvider | undefined {
  const fields = reader.map(place, keySets.prometheus);
  const url = readUrl(reader, fields.get("url"), place, "url: http://127.0.0.1:9090");
  const queryField = fields.get("query");
  if (queryField === undefined) return reader.problem(place, "needs query:, whose answer is one number");
  const query = reader.text(queryField);
  if (query !== undefined) checkWords(reader, queryField, query);
  return url === undefined || query === undefined ? undefined : { kind: "prometheus", url, query };
}

function readHttp(reader: Reader, place: Place): MetricProvider | undefined {
  const fields = reader.isMap(place) ? reader.map(place, keySets.httpMetric) : new Map([["url", place]]);
  const urlField = fields.get("url");
  const isPath = urlField !== undefined && !reader.isMap(urlField) && reader.startsWith(urlField, "/");
  const url = isPath
    ? readPath(reader, urlField)
    : readUrl(reader, urlField, place, "url: /check or url: https://HOST/PATH");
  const json = optional(fields, "json", (field) => readJsonPath(reader, field)) ?? null;
  return url === undefined ? undefined : { kind: "http", url, json };
}

function readPath(reader: Reader, place: Place): string | undefined {
  const path = reader.text(place);
  if (path === undefined) return undefined;
  checkWords(reader, place, path);
  return /^\/[\x21-\x7e]{0,500}$/.test(path)
    ? path
    : reader.problem(place, "must hold no spaces and at most 500 characters");
}

function readUrl(reader: Reader, place: Place | undefined, above: Place, example: string): string | undefined {
  if (place === undefined) return reader.problem(above, `needs ${example}`);
  const text = reader.text(place);
  if (text === undefined) return undefined;
  checkWords(reader, place, text);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || /[^\x21-\x7e]/.test(text) || text.length > 2_000)
    return reader.problem(place, "must be an address that begins with http:// or https://");
  // It would stand in the ledger and in every decision.
  if (url.username !== "" || url.password !== "")
    return reader.problem(place, "must hold no name and password: what is measured is kept with each decision");
  return text;
}

function readJsonPath(reader: Reader, place: Place): string | undefined {
  const path = reader.text(place);
  if (path === undefined || /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+|\[[0-9]{1,4}\]){0,20}$/.test(path)) return path;
  return reader.problem(place, "must name a value of the answer, like checks.score or items[0].value");
}

function checkWords(reader: Reader, place: Place, text: string): void {
  const unknown = unknownWord(text);
  if (unknown === undefined) return;
  const near = nearestName(unknown, substitutedWords);
  const advice =
    near === undefined
      ? `there are ${substitutedWords.map((word) => `$${word}`).join(", ")}`
      : `did you mean $${near}?`;
  reader.problem(place, `$${unknown} stands for nothing; ${advice}`);
}
