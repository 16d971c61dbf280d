import { checkProcess, splitInstanceName, webProcess } from "../model/names.ts";
import type { EventData } from "./event.ts";
import { nextTaskOrdinal, type EnvironmentRecord, type LedgerState, type TaskResult } from "./state.ts";

type EventOf<Kind extends EventData["kind"]> = Extract<EventData, { kind: Kind }>;

/** Tasks that people asked for and that have ended are remembered as long as they are among the newest. */
const mostEnded = 20;

export function startTask(record: EnvironmentRecord, data: EventOf<"task.started">, atMs: number): void {
  const set = splitInstanceName(data.instance)?.set;
  if (set === undefined) return;
  const next = Math.max(nextTaskOrdinal(record, set, data.process), data.ordinal + 1);
  record.taskOrdinals.set(`${set} ${data.process}`, next);
  record.tasks.set(data.instance, {
    instance: data.instance,
    process: data.process,
    ordinal: data.ordinal,
    release: data.release,
    index: data.index,
    command: data.command,
    like: data.like ?? webProcess,
    startedAtMs: atMs,
    deadlineMs: data.deadlineMs,
    cause: data.cause ?? null,
    running: false,
    lost: false,
    stop: null,
    ended: null,
  });
}

export function runTask(record: EnvironmentRecord, data: EventOf<"task.running">, atMs: number): void {
  const task = record.tasks.get(data.instance);
  if (task === undefined) return;
  task.running = true;
  task.startedAtMs = atMs;
}

export function endTask(record: EnvironmentRecord, data: EventOf<"task.ended">): void {
  const task = record.tasks.get(data.instance);
  if (task === undefined) return;
  task.ended = { how: data.how, code: data.code, reason: data.reason ?? null };
  if (task.cause === null) {
    record.tasks.delete(data.instance);
    addResult(record, data.release, {
      process: data.process,
      index: task.index,
      instance: data.instance,
      passed: data.how === "exited" && data.code === 0,
      elapsedMs: data.elapsedMs,
    });
    return;
  }
  const ended = [...record.tasks.values()].filter((one) => one.ended !== null);
  for (const { instance } of ended.slice(0, -mostEnded)) record.tasks.delete(instance);
}

export function answerCheck(record: EnvironmentRecord, data: EventOf<"check.answered">): void {
  const { index, instance, passed, elapsedMs } = data;
  addResult(record, data.release, { process: checkProcess, index, instance, passed, elapsedMs });
}

export function passTests(state: LedgerState, record: EnvironmentRecord, data: EventOf<"tests.passed">): void {
  const passed = state.passedTests.get(data.artifact) ?? new Map();
  state.passedTests.set(data.artifact, passed.set(data.tests, data.result));
  const release = record.releases.get(data.release);
  if (release !== undefined) release.testResult = data.result;
}

/** The machine went away: whatever was under way is gone, and nobody knows how far it came. */
export function loseTasks(record: EnvironmentRecord): void {
  for (const task of record.tasks.values()) if (task.ended === null) task.lost = true;
}

export function stopTasks(record: EnvironmentRecord, reason: string): void {
  for (const task of record.tasks.values()) if (task.ended === null) task.stop = reason;
}

/** What a task took is not taken from the time that its rollout has. */
function addResult(record: EnvironmentRecord, number: number, result: TaskResult): void {
  const release = record.releases.get(number);
  if (release === undefined) return;
  release.tasks.push(result);
  release.deadlineAtMs += result.elapsedMs;
}
