import {
  nextTaskOrdinal,
  type EnvironmentRecord,
  type ReleaseRecord,
  type SetRecord,
  type TaskRecord,
} from "../ledger/state.ts";
import type { Content, EnvironmentSettings } from "../model/content.ts";
import {
  checkProcess,
  instanceName,
  releaseProcess,
  runProcess,
  splitInstanceName,
  testProcess,
  type InstanceName,
  type ProcessName,
  type SetName,
} from "../model/names.ts";
import type { TaskEnd, TestTask } from "../model/tasks.ts";
import type { InstanceView } from "./view.ts";
import type { Step } from "./step.ts";
import { planRunningSnapshots } from "./volumes.ts";

/** What is to be done about one-off instances outside traffic. */
export type TaskStep =
  | {
      readonly kind: "start-task";
      readonly release: number;
      readonly set: SetName;
      readonly process: ProcessName;
      readonly instance: InstanceName;
      readonly index: number;
      readonly command: readonly string[];
      /** Longest time it may take, in ms; null: as long as it likes. */
      readonly deadlineMs: number | null;
    }
  /** It came to its end, or is to: what came of it is recorded. */
  | {
      readonly kind: "finish-task";
      readonly release: number;
      readonly instance: InstanceName;
      readonly how: Exclude<TaskEnd, "not started">;
      readonly reason: string | null;
    }
  /** Its end is recorded: what is left of it goes. */
  | { readonly kind: "clear-task"; readonly instance: InstanceName }
  /** All tests passed: the artifact gets a result attached. */
  | { readonly kind: "attest"; readonly release: number; readonly set: SetName }
  /** A check that asks one of the new instances for a path. */
  | {
      readonly kind: "ask";
      readonly release: number;
      readonly set: SetName;
      readonly instance: InstanceName;
      readonly index: number;
      readonly path: string;
      readonly status: number | null;
    };

/** The one-off instances that there are now. */
export interface TasksView {
  /** Sorted by name. */
  readonly tasks: readonly InstanceView[];
}

/** What is to be done about tasks that were begun, whatever began them, and about what is left of ended ones. */
export function planTasks(record: EnvironmentRecord, view: TasksView, nowMs: number): readonly TaskStep[] {
  if (record.tasks.size === 0 && view.tasks.length === 0) return noSteps;
  const seen = new Map(view.tasks.map((instance) => [instance.name, instance]));
  const open = openTasks(record);
  const steps = open.flatMap((task) => planOpen(record, task, seen.get(task.instance), nowMs));
  const left = view.tasks.filter(({ name }) => !open.some(({ instance }) => instance === name));
  return [...steps, ...left.map(({ name }): TaskStep => ({ kind: "clear-task", instance: name }))];
}

const noSteps: readonly TaskStep[] = [];

function planOpen(
  record: EnvironmentRecord,
  task: TaskRecord,
  instance: InstanceView | undefined,
  nowMs: number,
): readonly TaskStep[] {
  const finish = (how: Exclude<TaskEnd, "not started">, reason: string | null = null): readonly TaskStep[] => [
    { kind: "finish-task", release: task.release, instance: task.instance, how, reason },
  ];
  if (instance?.phase === "exited") return finish("exited");
  if (task.lost) return finish("lost");
  if (task.stop !== null) return finish("stopped", task.stop);
  if (task.cause === null && record.active !== task.release) return finish("stopped", "its rollout ended");
  // Until it has a process none of its time passes: its daemon may have been away.
  if (instance?.phase === "running") return nowMs >= deadlineOf(task) ? finish("timed out") : [];
  if (task.running) return finish("lost");
  // Recorded and not there, or half made: its daemon ended before it was started.
  const set = splitInstanceName(task.instance)?.set;
  if (set === undefined) return [];
  const { release, process, index, command, deadlineMs } = task;
  return [{ kind: "start-task", release, set, process, instance: task.instance, index, command, deadlineMs }];
}

/** When time alone will end a task: all such moments. */
export function taskDeadlines(record: EnvironmentRecord): readonly number[] {
  if (record.tasks.size === 0) return noDeadlines;
  return openTasks(record).map(deadlineOf).filter(Number.isFinite);
}

const noDeadlines: readonly number[] = [];

function deadlineOf({ startedAtMs, deadlineMs }: TaskRecord): number {
  return deadlineMs === null ? Number.POSITIVE_INFINITY : startedAtMs + deadlineMs;
}

/**
 * What a deploy does before its first instance: the artifact's tests, then snapshots of volumes that are in use, then the
 * release command, one after the other.
 *
 * @returns undefined when all of it is done; empty while something is under way
 */
export function planPreparation(
  record: EnvironmentRecord,
  release: ReleaseRecord,
  view: TasksView,
): readonly Step[] | undefined {
  if (release.type !== "deploy") return undefined;
  const { set, content } = release;
  const test = release.tests.findIndex((_, index) => !isDone(release, testProcess, index));
  const wanted = release.tests[test];
  if (wanted !== undefined)
    return begin(record, release, view, { process: testProcess, index: test, command: wanted.run, ...wanted });
  if (release.tests.length > 0 && release.testResult === null)
    return [{ kind: "attest", release: release.number, set }];
  const snapshots = planRunningSnapshots(record, release);
  if (snapshots !== undefined) return snapshots;
  const task = content.settings.release;
  if (task !== undefined && !isDone(release, releaseProcess, 0))
    return begin(record, release, view, { process: releaseProcess, index: 0, command: task.run, ...task });
  return undefined;
}

/**
 * What a deploy does when its new instances are ready, before the switch: the environment's checks.
 *
 * @param ready tells the instances that may be asked, at least one
 * @returns undefined when all of it is done; empty while something is under way
 */
export function planChecks(
  record: EnvironmentRecord,
  release: ReleaseRecord,
  ready: () => readonly InstanceView[],
  view: TasksView,
): readonly TaskStep[] | undefined {
  if (release.type !== "deploy") return undefined;
  const { checks } = release.settings ?? record.settings;
  if (checks === undefined) return undefined;
  const index = checks.findIndex((_, place) => !isDone(release, checkProcess, place));
  const check = checks[index];
  if (check === undefined) return undefined;
  if (check.kind === "run")
    return begin(record, release, view, { process: checkProcess, index, command: check.run, ...check });
  const { path, status } = check;
  const asked = ready().toSorted((a, b) => a.ordinal - b.ordinal)[0];
  if (asked === undefined) return [];
  return [{ kind: "ask", release: release.number, set: release.set, instance: asked.name, index, path, status }];
}

/** Whether a rollout has anything to run before its switch. */
export function hasTasks(
  release: { readonly type: "deploy" | "rollback"; readonly content: Content; readonly tests?: readonly TestTask[] },
  settings: EnvironmentSettings,
): boolean {
  const { type, content, tests = [] } = release;
  const commands = tests.length + (settings.checks ?? []).length;
  return type === "deploy" && (commands > 0 || content.settings.release !== undefined);
}

/** Whether a task of a rollout is under way; its own deadline bounds it, and the rollout's waits. */
export function isTasking(record: EnvironmentRecord, release: ReleaseRecord): boolean {
  return openTasks(record).some((task) => task.cause === null && task.release === release.number);
}

/** Whether going back from a release leaves behind what its release command did, for good. */
export function isIrreversible(release: ReleaseRecord): boolean {
  return release.content.settings.release?.reversible === false && isDone(release, releaseProcess, 0);
}

/** Whether new instances of a set have to wait for what comes before them. */
export function awaitsPreparation(record: EnvironmentRecord, set: SetRecord, view: TasksView): boolean {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.set === set.name && set.role === "next" && planPreparation(record, active, view) !== undefined;
}

interface Wanted {
  readonly process: ProcessName;
  readonly index: number;
  readonly command: readonly string[];
  readonly deadlineMs: number;
}

/** Begins a task of a rollout when none of its environment runs any more, of whatever rollout: two would meet in one database. */
function begin(
  record: EnvironmentRecord,
  release: ReleaseRecord,
  view: TasksView,
  { process, index, command, deadlineMs }: Wanted,
): readonly TaskStep[] {
  const isUnderWay =
    openTasks(record).some(({ cause }) => cause === null) ||
    view.tasks.some((instance) => instance.process !== runProcess && instance.phase === "running");
  if (isUnderWay) return [];
  const { set } = release;
  const instance = instanceName(set, nextTaskOrdinal(record, set, process), process);
  return [{ kind: "start-task", release: release.number, set, process, instance, index, command, deadlineMs }];
}

const noTasks: readonly TaskRecord[] = [];

function isDone(release: ReleaseRecord, process: ProcessName, index: number): boolean {
  return release.tasks.some((result) => result.process === process && result.index === index);
}

function openTasks(record: EnvironmentRecord): readonly TaskRecord[] {
  if (record.tasks.size === 0) return noTasks;
  return [...record.tasks.values()].filter(({ ended }) => ended === null);
}
