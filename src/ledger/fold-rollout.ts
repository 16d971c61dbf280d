import type { EventData } from "./event.ts";
import { releaseOf } from "./fold-release.ts";
import type { EnvironmentRecord } from "./state.ts";

type EventOf<Kind extends EventData["kind"]> = Extract<EventData, { kind: Kind }>;

export function stepRollout(record: EnvironmentRecord, data: EventOf<"rollout.stepped">, atMs: number): void {
  const release = releaseOf(record, data.release);
  const { step, weight } = data;
  const instances = data.instances ?? release.progress.instances;
  release.progress = { ...release.progress, step, weight, sinceMs: atMs, instances };
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
  const { paused, sinceMs } = release.progress;
  if (paused === null) return;
  const stoodMs = Math.max(0, atMs - paused.sinceMs);
  release.deadlineAtMs += stoodMs;
  release.progress = { ...release.progress, paused: null, sinceMs: sinceMs + stoodMs };
}

export function hurryRollout(record: EnvironmentRecord, number: number, atMs: number): void {
  resumeRollout(record, number, atMs);
  const release = releaseOf(record, number);
  release.progress = { ...release.progress, hurried: true };
}
