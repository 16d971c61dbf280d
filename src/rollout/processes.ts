import { crashesOf } from "../ledger/crashes.ts";
import { isOutdated } from "../ledger/secrets.ts";
import { nextOrdinalOf, settingsFor, type EnvironmentRecord, type SetRecord } from "../ledger/state.ts";
import { isWorker, splitInstanceName, type InstanceName, type ProcessName } from "../model/names.ts";
import { processSettings, wantedInstances, workersOf } from "../model/processes.ts";
import type { InstanceView } from "./view.ts";
import { earliestStartMs } from "./starts.ts";
import type { Step } from "./step.ts";

/** A worker counts as healthy when it has run for so long, in ms; longer where `minReady` says so. */
const leastRunMs = 1_000;
/** A worker that ends so often after the switch, within the watch, has its release taken back. */
const endsUntilTakenBack = 2;

/** How long a worker must run to count as healthy, in ms. */
export function workerReadyMs(minReadyMs: number): number {
  return Math.max(leastRunMs, minReadyMs);
}

/**
 * What is to be done for the processes of a set that have no traffic. They run in the live set alone: when another goes
 * live they are told to end, and have their drain for it, while the other's start.
 *
 * @param instances of the set, of any process
 */
export function planWorkers(
  record: EnvironmentRecord,
  set: SetRecord,
  instances: readonly InstanceView[],
  nowMs: number,
): readonly Step[] {
  if (set.content.settings.processes === undefined) return noSteps;
  const workers = instances.filter(({ process }) => isWorker(process));
  const steps: Step[] = [];
  if (set.role === "live") {
    for (const process of workersOf(set.content.settings)) {
      const own = workers.filter((instance) => instance.process === process);
      steps.push(...planProcess(record, set, process, own, nowMs));
    }
  } else if (set.role !== "ending") {
    for (const { name, phase } of workers)
      if (phase === "running" && !set.condemned.has(name))
        steps.push({ kind: "condemn", instance: name, type: "idle", reason: idleReason(record) });
  }
  return [...steps, ...planEnds(set, workers)];
}

const noSteps: readonly Step[] = [];

function planProcess(
  record: EnvironmentRecord,
  set: SetRecord,
  process: ProcessName,
  instances: readonly InstanceView[],
  nowMs: number,
): readonly Step[] {
  const steps: Step[] = [];
  const wanted = wantedInstances(settingsFor(record, set.name), process);
  const running = instances.filter(({ phase }) => phase === "running");
  const alive = running.filter(({ name }) => !set.condemned.has(name));
  const missing = wanted - alive.length;
  if (missing > 0 && nowMs >= earliestStartMs(set, process)) {
    const ending = running.filter(({ name }) => set.condemned.has(name)).map(({ name }) => name);
    const ordinals = Array.from({ length: missing }, (_, i) => nextOrdinalOf(set, process) + i);
    steps.push({ kind: "ensure", set: set.name, process, count: wanted, ordinals, ending });
  }
  for (const { name } of alive.filter(({ orphaned }) => orphaned)) {
    const reason = "its supervisor ended: nobody would tell how it ends";
    steps.push({ kind: "condemn", instance: name, type: "broken", reason });
  }
  for (const { name } of alive.filter((instance) => isOutdated(set, instance)))
    steps.push({ kind: "condemn", instance: name, type: "secret", reason: "a secret that it has has ended" });
  // Those that have not shown that they work go first, then the newest.
  const order = alive.toSorted(
    (a, b) => Number(a.health.state !== "starting") - Number(b.health.state !== "starting") || b.ordinal - a.ordinal,
  );
  for (const { name } of order.slice(0, Math.max(0, -missing))) {
    const reason = `${wanted} ${process} ${wanted === 1 ? "instance is" : "instances are"} wanted`;
    steps.push({ kind: "condemn", instance: name, type: "surplus", reason });
  }
  return steps;
}

/** A worker's end has its drain from the moment it was due, however many daemons it takes. */
function planEnds(set: SetRecord, workers: readonly InstanceView[]): readonly Step[] {
  const there = new Set(workers.map(({ name }) => name));
  const end = (instance: InstanceName, drainUntilMs: number | null): Step => ({
    kind: "end",
    set: set.name,
    instance,
    drainUntilMs,
  });
  const gone = [...set.condemned.keys()].filter((name) => {
    const process = splitInstanceName(name)?.process;
    return process !== undefined && isWorker(process) && !there.has(name);
  });
  return [
    // Gone before it was recorded, as by a crash between the two: what is left to do is the record.
    ...gone.map((name) => end(name, null)),
    ...workers.flatMap(({ name, phase, process }) => {
      const condemned = set.condemned.get(name);
      if (phase !== "running") return end(name, null);
      if (condemned === undefined && set.role !== "ending") return [];
      const sinceMs = condemned?.atMs ?? set.sinceMs;
      return end(name, sinceMs + processSettings(set.content.settings, process).drainMs);
    }),
  ];
}

function idleReason({ live }: EnvironmentRecord): string {
  return live === null ? "nothing is live any more" : `v${live.release} is live`;
}

/** In words, when a worker of the set that is watched keeps ending. Its crashes are counted from the switch. */
export function endingWorker(set: SetRecord): string | undefined {
  for (const process of workersOf(set.content.settings)) {
    const { count, last } = crashesOf(set, process);
    if (count >= endsUntilTakenBack)
      return `its ${process} keeps ending, ${count} times since the switch: the last ${last}`;
  }
  return undefined;
}
