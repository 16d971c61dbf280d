import type { HealthSettings } from "../model/content.ts";
import type { ProbeResult } from "../model/observation.ts";

/** Failed probes in a row that take an instance out of traffic. */
export const failuresUntilOut = 3;
/** How long an instance may fail after that before it is replaced, in ms. */
export const outUntilReplacedMs = 10_000;
/** Longest time one probe may take, in ms. */
export const probeTimeoutMs = 5_000;
/** Time between probes of an instance that has been healthy, in ms. */
export const probeIntervalMs = 1_000;

const firstProbeDelayMs = 10;
const slowestStartProbeMs = 250;
/** Slow growth: what is ready after 300 ms is seen 15 ms later at the most, at the cost of 20 cheap probes. */
const probeDelayGrowth = 1.05;

/** What the probes of one instance have told so far. */
export interface Health {
  /** `unknown`: it served before this daemon looked; it counts as healthy until a probe says otherwise. */
  readonly state: "starting" | "healthy" | "unhealthy" | "unknown";
  /** ms since the epoch of the first passed probe of the current run of passed ones; 0: it served before this daemon looked. */
  readonly healthySinceMs: number | null;
  /** ms since the epoch when it became unhealthy. */
  readonly unhealthySinceMs: number | null;
  readonly failures: number;
  readonly probes: number;
  readonly lastPassedAtMs: number | null;
  readonly last: ProbeResult | null;
}

export const startingHealth: Health = {
  state: "starting",
  healthySinceMs: null,
  unhealthySinceMs: null,
  failures: 0,
  probes: 0,
  lastPassedAtMs: null,
  last: null,
};

export const unknownHealth: Health = { ...startingHealth, state: "unknown" };

/** The path that is probed; null: a connection is all that is asked for. */
export function probePath(settings: HealthSettings): string | null {
  return settings.tcp === true ? null : (settings.path ?? "/");
}

/** Whether an answer passes: 2xx on a named path, anything below 500 on the default one, a connection where that is enough. */
export function isPassed(settings: HealthSettings, result: ProbeResult): boolean {
  if (settings.tcp === true) return result.kind === "accepted";
  if (result.kind !== "answered") return false;
  return settings.path === null ? result.status < 500 : result.status >= 200 && result.status < 300;
}

/** Health as who asks the instance keeps it. */
export interface KeptHealth extends Health {
  failures: number;
  probes: number;
  lastPassedAtMs: number | null;
  last: ProbeResult | null;
}

/**
 * Counts a probe in place that changes nothing else: still starting, once more passed, or not yet failed often enough. Nearly
 * all are such.
 *
 * @returns whether it was such a one; if not, nothing is counted
 */
export function countProbe(health: KeptHealth, passed: boolean, result: ProbeResult, atMs: number): boolean {
  const { state, failures } = health;
  if (passed ? state !== "healthy" : state !== "starting" && state !== "unhealthy" && failures + 1 >= failuresUntilOut)
    return false;
  health.probes += 1;
  health.failures = passed ? 0 : failures + 1;
  if (passed) health.lastPassedAtMs = atMs;
  health.last = result;
  return true;
}

/** Health after one more probe. */
export function afterProbe(health: Health, passed: boolean, result: ProbeResult, atMs: number): Health {
  const probes = health.probes + 1;
  if (passed) {
    return {
      state: "healthy",
      healthySinceMs: health.healthySinceMs ?? (health.state === "unknown" ? 0 : atMs),
      unhealthySinceMs: null,
      failures: 0,
      probes,
      lastPassedAtMs: atMs,
      last: result,
    };
  }
  const failures = health.failures + 1;
  const out = health.state !== "starting" && failures >= failuresUntilOut;
  return {
    ...health,
    state: out ? "unhealthy" : health.state,
    healthySinceMs: out || health.state === "starting" ? null : health.healthySinceMs,
    unhealthySinceMs: out ? (health.unhealthySinceMs ?? atMs) : null,
    failures,
    probes,
    last: result,
  };
}

/** Time until the next probe, in ms: 10 growing to 250 at the start, then each second. */
export function nextProbeDelayMs(health: Health): number {
  if (health.state !== "starting") return probeIntervalMs;
  return startDelaysMs[health.probes] ?? slowestStartProbeMs;
}

/** As long as they are below the slowest. */
const startDelaysMs: readonly number[] = Array.from(
  { length: Math.ceil(Math.log(slowestStartProbeMs / firstProbeDelayMs) / Math.log(probeDelayGrowth)) },
  (_, probes) => Math.min(slowestStartProbeMs, Math.round(firstProbeDelayMs * probeDelayGrowth ** probes)),
);
