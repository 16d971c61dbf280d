import { settingsFor, type EnvironmentRecord, type ReleaseRecord } from "../ledger/state.ts";
import type { AnalysisStatus, RolloutSet, RolloutStatus } from "../model/api/rollouts.ts";
import { formatRoute } from "../model/content.ts";
import { webProcess } from "../model/names.ts";
import type { RouteRule } from "../model/observation.ts";
import { weightsOf } from "../model/route-rule.ts";
import { longestPauseMs, type Strategy } from "../model/strategy.ts";
import type { AnalysisView } from "../rollout/plan-analysis.ts";
import { readyInstances } from "../rollout/ready.ts";
import { strategyOf } from "../rollout/targets.ts";
import type { FleetInstance } from "./fleet.ts";

/**
 * The rollout under way, with what each of its sets has of instances and requests; null: there is none.
 *
 * @param rules what the router has in effect; null: not known, as of a moment that is past
 * @param measured what was measured of it; undefined: nothing, or not known any more
 */
export function rolloutStatus(
  record: EnvironmentRecord,
  instances: readonly FleetInstance[],
  rules: readonly RouteRule[] | null,
  nowMs: number,
  measured?: AnalysisView,
): RolloutStatus | null {
  const release = record.active === null ? undefined : record.releases.get(record.active);
  const set = release === undefined ? undefined : record.sets.get(release.set);
  if (release === undefined || set === undefined) return null;
  const { instances: wanted, route } = settingsFor(record, set.name);
  const { strategy, because } = strategyOf(record, release);
  const { progress } = release;
  const rule = route === null ? undefined : rules?.find((one) => formatRoute(one.route) === formatRoute(route));
  const own = instances.filter((instance) => instance.set === set.name);
  return {
    release: release.number,
    of: release.of,
    type: release.type,
    strategy: strategy.kind,
    because: because ?? null,
    healthy: readyInstances(set, own, nowMs).length,
    wanted,
    sinceMs: Math.max(0, nowMs - release.sinceMs),
    deadlineInMs: Math.max(0, release.deadlineAtMs - (progress.paused?.sinceMs ?? nowMs)),
    step: progress.step,
    steps: strategy.kind === "canary" ? strategy.steps.length : null,
    weight: progress.weight,
    sets: setsOf(record, instances, rule, nowMs),
    holdLeftMs: holdLeftMs(strategy, release, nowMs),
    paused:
      progress.paused === null
        ? null
        : {
            by: progress.paused.by,
            reason: progress.paused.reason,
            forMs: Math.max(0, nowMs - progress.paused.sinceMs),
            endsInMs: Math.max(0, progress.paused.sinceMs + longestPauseMs - nowMs),
          },
    hurried: progress.hurried,
    ...analysisOf(release, measured),
  };
}

function analysisOf(
  { progress }: ReleaseRecord,
  measured: AnalysisView | undefined,
): { readonly analysis?: AnalysisStatus } {
  const { analysis, extended } = progress;
  if (analysis === "skipped") return { analysis: { skipped: true, extended, metrics: [] } };
  if (measured === undefined) return {};
  const metrics = measured.metrics.map(({ name, phase, count, last }) => ({ name, phase, measured: count, last }));
  return { analysis: { skipped: false, extended, metrics } };
}

function setsOf(
  record: EnvironmentRecord,
  instances: readonly FleetInstance[],
  rule: RouteRule | undefined,
  nowMs: number,
): readonly RolloutSet[] {
  const weights = new Map(rule === undefined ? [] : weightsOf(rule).map(({ set, weight }) => [set, weight]));
  return [...record.sets.values()]
    .filter(({ name, role }) => role === "live" || role === "next" || role === "leaving" || weights.has(name))
    .sort((a, b) => a.release - b.release)
    .map((set) => {
      const own = instances.filter(
        (one) => one.set === set.name && one.process === webProcess && !set.condemned.has(one.name),
      );
      return {
        // A content that comes again keeps its instances, and with them its set.
        release:
          (set.role === "live" ? record.live?.release : set.role === "next" ? record.active : null) ?? set.release,
        role: set.role,
        ready: readyInstances(set, own, nowMs).length,
        instances: own.length,
        weight: rule === undefined ? null : (weights.get(set.name) ?? 0),
      };
    });
}

/** Time until the step that was reached is over; null: no time ends it, or it was not reached. */
function holdLeftMs(strategy: Strategy, { progress, type }: ReleaseRecord, nowMs: number): number | null {
  if (type === "rollback" || progress.step === 0 || progress.hurried) return null;
  const holdMs =
    strategy.kind === "canary"
      ? strategy.steps[progress.step - 1]?.holdMs
      : strategy.kind === "blue-green"
        ? strategy.holdMs
        : null;
  if (holdMs === undefined || holdMs === null) return null;
  return Math.max(0, progress.sinceMs + holdMs - (progress.paused?.sinceMs ?? nowMs));
}
