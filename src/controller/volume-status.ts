import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { StopFirst } from "../model/api/status.ts";
import { webProcess } from "../model/names.ts";
import { clashes, volumesOf } from "../model/volumes.ts";

/** What replacing the live content costs, where it has a volume that only one may have. */
export function stopFirst(record: EnvironmentRecord): StopFirst | null {
  const live = record.live === null ? undefined : record.sets.get(record.live.set);
  if (live === undefined) return null;
  const { settings } = live.content;
  const alone = volumesOf(settings, webProcess, record).filter(({ mount }) => mount.sharing === "exclusive");
  if (alone.length === 0 && live.yieldsTo === null) return null;
  const newest = [...record.releases.values()].findLast(({ handoverMs }) => handoverMs !== null);
  return {
    volumes: alone.map(({ id }) => id.name),
    drainMs: settings.drainMs,
    lastMs: newest?.handoverMs ?? null,
    yieldsTo: live.yieldsTo?.release ?? null,
  };
}

/** Volumes for which what is live would end before the content of an earlier release starts. */
export function stopsFor(record: EnvironmentRecord, target: ReleaseRecord): readonly string[] {
  const live = record.live === null ? undefined : record.sets.get(record.live.set);
  if (live === undefined) return [];
  const wanted = volumesOf(target.content.settings, webProcess, record);
  return clashes(wanted, volumesOf(live.content.settings, webProcess, record)).map(({ name }) => name);
}
