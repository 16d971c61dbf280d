import { crashesOf } from "../ledger/crashes.ts";
import { isRouted, type EnvironmentRecord, type ReleaseRecord, type SetRecord } from "../ledger/state.ts";
import { webProcess, type ProcessName, type SetName } from "../model/names.ts";
import { workersOf } from "../model/processes.ts";
import { leadsTo } from "../model/route-rule.ts";
import { plainStrategy, type Strategy } from "../model/strategy.ts";
import {
  allVolumesOf,
  clashes,
  formatVolume,
  hasExclusive,
  hasVolumes,
  volumesOf,
  type AttachedVolume,
} from "../model/volumes.ts";
import { allInstances, setView, type EnvironmentView, type InstanceView } from "./view.ts";
import type { Step } from "./step.ts";

/** What is to be done about the volumes of a release before its instances start. */
export type VolumeStep =
  | {
      readonly kind: "snapshot";
      readonly release: number;
      readonly set: SetName;
      readonly volume: string;
    }
  /** What is live is to end, so that what comes gets its volumes: from here on nothing answers. */
  | {
      readonly kind: "yield";
      readonly release: number;
      /** What is live. */
      readonly set: SetName;
      /** Volumes that both want and only one may have. */
      readonly volumes: readonly string[];
    };

/**
 * Processes of what is live that are to end before what comes starts, and the volumes that both want and only one may have:
 * all of them where it is to be recreated.
 */
export function handoverOf(
  live: SetRecord,
  next: SetRecord,
  strategy: Strategy,
): ReadonlyMap<ProcessName, readonly string[]> {
  const wanted = volumesOf(next.content.settings, webProcess, next);
  if (wanted.length === 0 && strategy.kind !== "recreate") return noneYield;
  const yielding = new Map<ProcessName, readonly string[]>();
  for (const process of [webProcess, ...workersOf(live.content.settings)]) {
    const both = clashes(volumesOf(live.content.settings, process, live), wanted);
    if (both.length > 0 || strategy.kind === "recreate") yielding.set(process, both.map(formatVolume));
  }
  return yielding;
}

const noneYield: ReadonlyMap<ProcessName, readonly string[]> = new Map();

/** The same for a release; a rollback goes live beside what is live, where no volume is in its way. */
function handoverFor(
  record: EnvironmentRecord,
  release: ReleaseRecord,
  live: SetRecord,
  next: SetRecord,
): ReadonlyMap<ProcessName, readonly string[]> {
  const { strategy } = release.settings ?? record.settings;
  return handoverOf(live, next, release.type === "rollback" ? plainStrategy : strategy);
}

/** Processes of a set that stand back for the rollout under way. */
export function yieldingProcesses(record: EnvironmentRecord, set: SetRecord): ReadonlySet<ProcessName> {
  if (set.yieldsTo === null) return noProcesses;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  const next = active === undefined ? undefined : record.sets.get(active.set);
  if (active === undefined || next === undefined || set.yieldsTo.release !== active.number) return noProcesses;
  return new Set(handoverFor(record, active, set, next).keys());
}

const noProcesses: ReadonlySet<ProcessName> = new Set();

/**
 * Snapshots of volumes that its instances have beside those of what is live: made while they are written to, before
 * anything of the release runs.
 *
 * @returns undefined when all are made
 */
export function planRunningSnapshots(record: EnvironmentRecord, release: ReleaseRecord): readonly Step[] | undefined {
  return snapshotsOf(record, release, false);
}

/**
 * What comes between the release's command and its first instance: what is live and has its volumes ends, then their
 * snapshots are made, of files that nobody writes to.
 *
 * @returns undefined when instances may start; empty while something is under way
 */
export function planHandover(
  record: EnvironmentRecord,
  release: ReleaseRecord,
  view: EnvironmentView,
): readonly Step[] | undefined {
  const next = record.sets.get(release.set);
  if (next === undefined || next.role !== "next") return undefined;
  const live = record.live === null ? undefined : record.sets.get(record.live.set);
  if (live !== undefined && live.name !== next.name && live.yieldsTo?.release !== release.number) {
    const handover = handoverFor(record, release, live, next);
    if (handover.size > 0) {
      const volumes = [...new Set([...handover.values()].flat())].sort();
      return [{ kind: "yield", release: release.number, set: live.name, volumes }];
    }
  }
  const wanted = volumesOf(next.content.settings, webProcess, next);
  const held = holdersOf(record, wanted, view).some(({ set }) => set !== next.name);
  return held || isToEndFirst(record, next, view) ? [] : snapshotsOf(record, release, true);
}

/** Whether anything still runs of what is to have ended before a release starts that is recreated. */
function isToEndFirst(record: EnvironmentRecord, next: SetRecord, view: EnvironmentView): boolean {
  const live = record.live === null ? undefined : record.sets.get(record.live.set);
  if (live === undefined || !yieldingProcesses(record, live).has(webProcess)) return false;
  const olds = [...record.sets.values()].filter((set) => set !== next && (set === live || set.role === "ending"));
  return olds.some((set) => setView(view, set.name).all.some(({ phase }) => phase !== "exited"));
}

/** Instances that have one of these volumes, where not both may: those that ended have nothing any more. */
function holdersOf(
  record: EnvironmentRecord,
  wanted: readonly AttachedVolume[],
  view: EnvironmentView,
): readonly InstanceView[] {
  if (wanted.length === 0) return [];
  return allInstances(view).filter(({ set, process, phase }) => {
    const own = phase === "exited" ? undefined : record.sets.get(set);
    return own !== undefined && clashes(wanted, volumesOf(own.content.settings, process, own)).length > 0;
  });
}

/** @param alone those of volumes that nobody has by then */
function snapshotsOf(record: EnvironmentRecord, release: ReleaseRecord, alone: boolean): readonly Step[] | undefined {
  if (release.type !== "deploy" || !hasVolumes(release.content.settings)) return undefined;
  const asked = allVolumesOf(release.content.settings, record).filter(({ mount }) => mount.snapshot);
  const isAlone = ({ mount, process }: (typeof asked)[number]): boolean =>
    process === webProcess && mount.sharing === "exclusive";
  const names = new Set(asked.filter((volume) => isAlone(volume) === alone).map(({ id }) => id.name));
  const left = [...names].sort().filter((name) => !release.snapshots.has(name));
  if (left.length === 0) return undefined;
  return left.map((volume) => ({ kind: "snapshot", release: release.number, set: release.set, volume }));
}

/** Whether instances of a process cannot have their volumes yet, or are to stand back. */
export function hasClash(
  record: EnvironmentRecord,
  set: SetRecord,
  process: ProcessName,
  view: EnvironmentView,
): boolean {
  if (yieldingProcesses(record, set).has(process)) return true;
  return holdersOf(record, volumesOf(set.content.settings, process, set), view).length > 0;
}

const noSteps: readonly Step[] = [];

/** Ends what stands back, once no request goes to it any more. */
export function planYielding(record: EnvironmentRecord, set: SetRecord, view: EnvironmentView): readonly Step[] {
  const yielding = yieldingProcesses(record, set);
  if (yielding.size === 0) return noSteps;
  const waiting =
    !isRouted(record, set.name) || view.rules.every((rule) => !leadsTo(rule, set.name) || rule.hold === true);
  return setView(view, set.name)
    .all.filter(({ name, process, phase }) => {
      const isDue = yielding.has(process) && phase === "running" && !set.condemned.has(name);
      return isDue && (process !== webProcess || waiting);
    })
    .map(({ name }) => ({ kind: "condemn", instance: name, type: "yields", reason: yieldReason(set) }));
}

function yieldReason({ yieldsTo, content }: SetRecord): string {
  const release = `v${yieldsTo?.release ?? 0}`;
  return hasExclusive(content.settings)
    ? `${release} gets its volumes, which only one may have`
    : `${release} starts when it has ended`;
}

/** What was to come back and ended so often in a row is broken. */
const brokenAfter = 3;

/**
 * Whether requests are to wait: while what is live stands back, and after that until it or what replaced it serves.
 *
 * @param waiting where they wait now: how many instances stay, may answer and have their place, its own and those of
 * sets that have a share
 */
export function holdsRequests(
  record: EnvironmentRecord,
  live: SetRecord,
  waiting: { readonly serving: number } | undefined,
): boolean {
  if (yieldingProcesses(record, live).has(webProcess)) return true;
  // What keeps ending is not waited for: then requests are refused, as of any app that is broken.
  return waiting?.serving === 0 && crashesOf(live, webProcess).count < brokenAfter;
}

/** Why a set is not kept warm beside what is live or comes; undefined: its volumes are in nobody's way. */
export function keepsVolumes(record: EnvironmentRecord, set: SetRecord): string | undefined {
  if (hasExclusive(set.content.settings)) return "it has a volume that only one may have";
  const active = record.active === null ? undefined : record.releases.get(record.active)?.set;
  const own = allVolumesOf(set.content.settings, set);
  for (const name of [record.live?.set, active]) {
    const other = name === undefined || name === set.name ? undefined : record.sets.get(name);
    const [both] = other === undefined ? [] : clashes(allVolumesOf(other.content.settings, other), own);
    if (both !== undefined) return `v${other?.release ?? 0} has volume ${both.name} for itself alone`;
  }
  return undefined;
}
