import type { EnvironmentRecord } from "../ledger/state.ts";
import {
  firstMeasurementMs,
  substitute,
  type Metric,
  type RouterQuantity,
  type Substitutes,
} from "../model/analysis.ts";
import type { SetName } from "../model/names.ts";
import { releaseHeader } from "../model/route-rule.ts";
import type { TrafficCounts } from "../model/observation.ts";
import type { MetricQuery } from "../ports/metrics.ts";
import { afterMeasurement, untouchedMetric, type Measured, type MetricState } from "../rollout/analysis.ts";
import type { MeasuredMetric } from "../rollout/decisions/analysis.ts";
import type { BaselineInputs } from "../rollout/decisions/baseline.ts";
import { decide } from "../rollout/decisions/decide.ts";
import type { ErrorInputs } from "../rollout/decisions/errors.ts";
import { evidenceStartMs, withStart, type ComparedCounts, type EvidenceStart } from "../rollout/error-rule.ts";
import type { AnalysisDemand, AnalysisView } from "../rollout/plan-analysis.ts";
import { addTotal, beginTotal, percentileMs, totalSince, type TrafficTotal } from "../rollout/traffic-total.ts";
import type { ControllerPorts } from "./ports.ts";

export interface RunOptions {
  readonly ports: Pick<ControllerPorts, "router" | "clock" | "metrics">;
  readonly record: EnvironmentRecord;
  readonly demand: AnalysisDemand;
  readonly baseline: BaselineInputs;
  /** Called after each measurement. */
  readonly onMeasured: () => void;
}

/** What one metric has seen. */
interface Seen {
  state: MetricState;
  /** What the new content had answered at the measurement before. */
  before: TrafficTotal;
  /** Of the rule over the router's counts. */
  errors: ErrorInputs | null;
}

type Counts = ReadonlyMap<SetName, TrafficCounts>;

/** Measures what is wanted of one step of a rollout until it is stopped. What it knows ends with this process. */
export class AnalysisRun {
  readonly key: string;
  readonly #options: RunOptions;
  readonly #stop = new AbortController();
  readonly #timers = new Map<string, () => void>();
  readonly #seen = new Map<string, Seen>();
  #fresh: TrafficTotal;
  #live: ReadonlyMap<SetName, TrafficTotal>;
  #lastStartMs = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    const { demand, ports } = options;
    this.key = demand.key;
    const counts = ports.router.traffic();
    this.#fresh = beginTotal(counts.get(demand.fresh));
    this.#live = new Map(demand.live.map((set) => [set, beginTotal(counts.get(set))]));
    this.#lastStartMs = ports.clock.monotonic();
    for (const metric of demand.analysis.metrics) {
      const { provider } = metric;
      const errors: ErrorInputs | null =
        provider.kind === "error-rule"
          ? { rule: provider.rule, starts: withStart([], this.#compared()), now: this.#compared() }
          : null;
      this.#seen.set(metric.name, { state: untouchedMetric, before: this.#fresh, errors });
      this.#after(metric, firstMeasurementMs(metric));
    }
  }

  stop(): void {
    this.#stop.abort();
    for (const cancel of this.#timers.values()) cancel();
  }

  view(): AnalysisView {
    const { demand, baseline } = this.#options;
    const errors = [...this.#seen.values()].flatMap((seen) => seen.errors ?? []);
    return {
      key: this.key,
      metrics: demand.analysis.metrics.map((metric) => this.#measured(metric)),
      errors,
      baseline,
    };
  }

  #measured(metric: Metric): MeasuredMetric {
    const state = this.#seen.get(metric.name)?.state ?? untouchedMetric;
    const few = metric.provider.kind === "error-rule" && this.#fresh.requests < metric.provider.rule.leastRequests;
    return { ...state, name: metric.name, wanted: metric.count, lacks: state.count === 0 || few };
  }

  #after(metric: Metric, ms: number): void {
    const cancel = this.#options.ports.clock.after(ms, () => {
      this.#timers.delete(metric.name);
      void this.#measure(metric);
    });
    this.#timers.set(metric.name, cancel);
  }

  async #measure(metric: Metric): Promise<void> {
    const { clock } = this.#options.ports;
    const seen = this.#seen.get(metric.name);
    if (seen === undefined || this.#stop.signal.aborted) return;
    const beganMs = clock.monotonic();
    const measured = await this.#ask(metric, seen);
    if (this.#stop.signal.aborted) return;
    seen.state = afterMeasurement(metric, seen.state, measured);
    // What is done is not asked again.
    if (seen.state.phase === "running")
      this.#after(metric, Math.max(1, metric.intervalMs - (clock.monotonic() - beganMs)));
    this.#options.onMeasured();
  }

  async #ask(metric: Metric, seen: Seen): Promise<Measured> {
    const { provider } = metric;
    switch (provider.kind) {
      case "error-rule":
        return this.#judgeErrors(seen, provider.rule.leastRequests);
      case "router":
        return this.#readRouter(provider.quantity, seen);
      default: {
        const query = this.#query(provider);
        return this.#options.ports.metrics.measure(query, this.#stop.signal);
      }
    }
  }

  /** Takes what the router counted since. @returns whether any of it may be missing */
  #count(): boolean {
    const counts: Counts = this.#options.ports.router.traffic();
    const gapsOf = (): number => [this.#fresh, ...this.#live.values()].reduce((sum, { gaps }) => sum + gaps, 0);
    const gaps = gapsOf();
    this.#fresh = addTotal(this.#fresh, counts.get(this.#options.demand.fresh));
    this.#live = new Map([...this.#live].map(([set, total]) => [set, addTotal(total, counts.get(set))]));
    return gapsOf() > gaps;
  }

  #compared(): ComparedCounts {
    const { requests, errors } = this.#fresh;
    const live = { requests: 0, errors: 0 };
    for (const total of this.#live.values()) {
      live.requests += total.requests;
      live.errors += total.errors;
    }
    return { fresh: { requests, errors }, live: this.#options.demand.alone ? null : live };
  }

  #judgeErrors(seen: Seen, leastRequests: number): Measured {
    const missing = this.#count();
    const now = this.#compared();
    const { rule, starts } = seen.errors ?? { rule: null, starts: [] };
    if (rule === null) return { kind: "error", reason: "it has no rule" };
    const { outcome, sentence } = decide("errors", { rule, starts, now });
    seen.errors = { rule, starts: this.#startsAfter(starts, now), now };
    // What was seen to fail did fail, whatever else was not seen.
    if (outcome.fires) {
      seen.errors = { rule, starts, now };
      return { kind: "judged", fires: true, finding: sentence };
    }
    if (missing) return { kind: "gap", reason: "lines of the router's log were lost" };
    if (now.fresh.requests < leastRequests) {
      const { requests } = now.fresh;
      return {
        kind: "nothing",
        reason: `${requests === 0 ? "no request" : `${requests} requests`} came, ${leastRequests} are needed`,
      };
    }
    return { kind: "judged", fires: false, finding: sentence };
  }

  #startsAfter(starts: readonly EvidenceStart[], now: ComparedCounts): readonly EvidenceStart[] {
    const nowMs = this.#options.ports.clock.monotonic();
    if (nowMs - this.#lastStartMs < evidenceStartMs) return starts;
    this.#lastStartMs = nowMs;
    return withStart(starts, now);
  }

  #readRouter(quantity: RouterQuantity, seen: Seen): Measured {
    this.#count();
    const since = totalSince(this.#fresh, seen.before);
    seen.before = this.#fresh;
    if (since.gaps > 0) return { kind: "gap", reason: "lines of the router's log were lost" };
    if (quantity === "requests") return { kind: "values", values: { result: since.requests } };
    if (since.requests === 0) return { kind: "nothing", reason: "no request came" };
    if (quantity === "errors") return { kind: "values", values: { result: since.errors / since.requests } };
    const result = percentileMs(since, Number(quantity.slice(1)) / 100);
    return result === null
      ? { kind: "nothing", reason: `${since.requests} requests came, too few for ${quantity}` }
      : { kind: "values", values: { result: Number(result.toFixed(2)) } };
  }

  #query(provider: Exclude<Metric["provider"], { kind: "error-rule" | "router" }>): MetricQuery {
    const words = this.#words();
    switch (provider.kind) {
      case "prometheus":
        return { ...provider, query: substitute(provider.query, words), url: substitute(provider.url, words) };
      case "http": {
        const { json } = provider;
        const url = substitute(provider.url, words);
        if (!url.startsWith("/")) return { kind: "http", url, json, headers: {} };
        const { host, port } = this.#options.ports.router.address();
        const name = host === "0.0.0.0" || host === "" ? "127.0.0.1" : host;
        const route = this.#options.record.settings.route;
        const headers = { [releaseHeader]: words.release, ...(route?.host ? { host: route.host } : {}) };
        return { kind: "http", url: `http://${name.includes(":") ? `[${name}]` : name}:${port}${url}`, json, headers };
      }
      case "command": {
        const env = {
          BRONZE_APP: words.app,
          BRONZE_ENV: words.environment,
          BRONZE_RELEASE: words.release,
          BRONZE_SET: words.set,
          BRONZE_LIVE: words.live,
        };
        return { kind: "command", command: provider.command.map((word) => substitute(word, words)), env };
      }
    }
  }

  #words(): Substitutes {
    const { record, demand } = this.#options;
    const live = record.live?.set ?? demand.fresh;
    return {
      // Of its set, as its instances know it: one that runs what was live before has that one's.
      release: demand.fresh.slice(demand.fresh.lastIndexOf("-") + 1),
      set: demand.fresh,
      live,
      app: record.app,
      environment: record.environment,
    };
  }
}
