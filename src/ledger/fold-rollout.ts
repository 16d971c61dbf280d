import type { EventData } from "./event.ts";
import { releaseOf } from "./fold-release.ts";
import type { EnvironmentRecord } from "./state.ts";

type EventOf<Kind extends EventData["kind"]> = Extract<EventData, { kind: Kind }>;

export function stepRollout(record: EnvironmentRecord, data: EventOf<"rollout.stepped">, atMs: number): void {
  const release = releaseOf(record, data.release);
  const { step, weight } = data;
  const instances = data.instances ?? release.progress.instances;
  release.progress = { ...release.progress, step, weight, sinceMs: atMs, instances, extended: 0 };
  for (const { set, count } of data.counts ?? []) {
    const counted = record.sets.get(set);
    if (counted !== undefined) counted.count = count;
  }
}

export function pauseRollout(record: EnvironmentRecord, data: EventOf<"rollout.paused">, atMs: number): void {
  const release = releaseOf(record, data.release);
  // It stands still since the first time it was told to.
  const sinceMs = release.progress.paused?.sinceMs ?? atMs;
  release.progress = { ...release.progress, paused: { sinceMs, by: data.by, reason: data.reason } };
}

/** Time that it stood still counts for nothing: neither for its deadline nor for its step. */
export function resumeRollout(record: EnvironmentRecord, number: number, atMs: number): void {
  const release = releaseOf(record, number);
  const { paused, sinceMs, step } = release.progress;
  if (paused === null) return;
  const stoodMs = Math.max(0, atMs - paused.sinceMs);
  release.deadlineAtMs += stoodMs;
  release.progress = { ...release.progress, paused: null, sinceMs: sinceMs + stoodMs, cleared: step };
}

export function hurryRollout(record: EnvironmentRecord, number: number, atMs: number): void {
  resumeRollout(record, number, atMs);
  const release = releaseOf(record, number);
  release.progress = { ...release.progress, hurried: true };
}

/** What was decided about the analysis lasts: a daemon that is started again goes on from there. */
export function applyDecision(record: EnvironmentRecord, data: EventOf<"decision.made">): void {
  const release = record.releases.get(data.release);
  const { outcome } = data;
  if (release === undefined || typeof outcome !== "object" || outcome === null) return;
  const of = (name: string): unknown =>
    Object.hasOwn(outcome, name) ? (outcome as Record<string, unknown>)[name] : null;
  if (data.rule === "baseline")
    release.progress = { ...release.progress, analysis: of("skip") === true ? "skipped" : "on" };
  const extended = of("extended");
  if (data.rule === "analysis" && of("verdict") === "extend" && typeof extended === "number")
    release.progress = { ...release.progress, extended };
}
