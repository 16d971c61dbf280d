import { settingsFor, type EnvironmentRecord, type SetRecord } from "../ledger/state.ts";
import type { AppName } from "../model/names.ts";
import { hasRunning, setView, type EnvironmentView, type SetView } from "./view.ts";

/** Longest time for which a set that needs others waits for them, in ms. */
const longestWaitMs = 120_000;

/** What the start of an app that needs others depends on. */
export interface NeedsView {
  /** Apps of the environment of which an instance serves. */
  readonly serving: ReadonlySet<AppName>;
  /** When the machine was started, on the ledger's timeline; null: not known. */
  readonly bootedAtMs: number | null;
}

/** Whether an app, as it is or comes, needs others. */
export function hasNeeds({ settings, active, releases }: EnvironmentRecord): boolean {
  const coming = active === null ? undefined : releases.get(active)?.settings;
  return settings.needs !== undefined || (coming !== null && coming?.needs !== undefined);
}

/** What a set that has no instance yet lacks, and whether its start still waits for it. */
export interface Missing {
  readonly apps: readonly AppName[];
  readonly waits: boolean;
}

/**
 * What a set's first instances would miss if they were started now: apps that it needs and that do not serve.
 *
 * @param own instances of the set; where one runs nothing is missed any more
 * @returns undefined when nothing is
 */
export function missingNeeds(
  record: EnvironmentRecord,
  set: SetRecord,
  own: SetView,
  view: NeedsView,
  nowMs: number,
): Missing | undefined {
  const apps = (settingsFor(record, set.name).needs ?? []).filter((app) => !view.serving.has(app));
  return apps.length === 0 || hasRunning(own) ? undefined : { apps, waits: nowMs < waitEndMs(record, set, view) };
}

/** When a set stops waiting: counted from when it was wanted, or the machine was started, and well before its rollout would end. */
export function waitEndMs(record: EnvironmentRecord, set: SetRecord, { bootedAtMs }: NeedsView): number {
  const { deadlineMs } = settingsFor(record, set.name);
  return Math.max(set.sinceMs, bootedAtMs ?? 0) + Math.min(longestWaitMs, deadlineMs / 2);
}

/** Apps that sets of an environment wait for now. */
export function waitsFor(
  record: EnvironmentRecord,
  view: NeedsView & Pick<EnvironmentView, "sets">,
  nowMs: number,
): readonly AppName[] {
  const missing = [...record.sets.values()].flatMap((set) => {
    const found = set.role === "ending" ? undefined : missingNeeds(record, set, setView(view, set.name), view, nowMs);
    return found?.waits === true ? found.apps : [];
  });
  return [...new Set(missing)].sort();
}
