import { asOperatorError, causeText, type OperatorError } from "../errors/operator-error.ts";
import { printableLine } from "../errors/redact.ts";
import type { EventData } from "../ledger/event.ts";
import { contentNow, digestNow } from "../ledger/secrets.ts";
import type { EnvironmentRecord, ReleaseRecord, TaskRecord } from "../ledger/state.ts";
import {
  checkProcess,
  runProcess,
  splitInstanceName,
  testProcess,
  webProcess,
  type InstanceName,
} from "../model/names.ts";
import { commandText, testsDigest, type TaskEnd } from "../model/tasks.ts";
import type { InstanceSet, Task } from "../ports/runtime.ts";
import { readyInstances } from "../rollout/ready.ts";
import { findingOf, taskFailure, testResult, testResultType } from "../rollout/task-outcome.ts";
import type { TaskStep } from "../rollout/tasks.ts";
import type { Fleet } from "./fleet.ts";
import type { ControllerPorts } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import { aborted } from "./releases.ts";
import { hideAllVersions, hideSecrets } from "./secret-values.ts";

export interface TaskRunnerOptions {
  readonly ports: ControllerPorts;
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly signal: AbortSignal;
  /** Frees the artifacts that nothing has any more. */
  readonly releaseUnused: () => Promise<void>;
}

/** Time between SIGTERM and SIGKILL of a task that is ended, in ms. */
const graceMs = 10_000;
/** How long a check waits for its answer, in ms. */
const answerMs = 10_000;
/** Longest line of a task's output that the ledger keeps, in characters. */
const mostCharacters = 1_000;

type StepOf<Kind extends TaskStep["kind"]> = Extract<TaskStep, { kind: Kind }>;

/** Carries out what is to be done about tasks; when a step resolves, its result is recorded. */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
  }

  async run(record: EnvironmentRecord, step: TaskStep): Promise<void> {
    switch (step.kind) {
      case "start-task":
        return this.#start(record, step);
      case "finish-task":
        return this.#finish(record, step);
      case "clear-task":
        return this.#clear(record, step.instance);
      case "attest":
        return this.#attest(record, step);
      case "ask":
        return this.#ask(record, step);
      default:
        step satisfies never;
    }
  }

  async #start(record: EnvironmentRecord, step: StepOf<"start-task">): Promise<void> {
    const { recorder, ports, fleet, signal } = this.#options;
    const { app, environment } = record;
    const { release: number, process, instance, index, command, deadlineMs } = step;
    const parts = splitInstanceName(instance);
    const release = record.releases.get(number);
    if (release === undefined || parts === undefined) return;
    if (!record.tasks.has(instance)) {
      const { ordinal } = parts;
      recorder.append({
        kind: "task.started",
        app,
        environment,
        release: number,
        process,
        ordinal,
        instance,
        index,
        command,
        deadlineMs,
      });
    }
    const task = record.tasks.get(instance);
    if (task === undefined) return;
    try {
      await ports.runtime.prepare(release.content.artifact, signal, environment);
      // Its rollout may have been ended meanwhile, or whoever asked for it be gone: then it never runs.
      if (!isWanted(record, task)) return;
      await ports.runtime.startTask(setOf(record, release), this.#taskOf(record, release, task), signal);
    } catch (thrown) {
      await fleet.refresh();
      if (signal.aborted) return;
      const error = asOperatorError(thrown);
      const isLost = fleet.get(instance)?.phase === "broken";
      const cause = causeText(error.cause);
      const reason = isLost ? undefined : error.message;
      const output = cause === undefined || cause === error.message ? [] : cause.split("\n").slice(0, 50);
      const how = isLost ? "lost" : "not started";
      await this.#end(record, task, { how, code: null, reason, output, refusal: error });
      return;
    }
    if (task.ended === null) recorder.append({ kind: "task.running", app, environment, instance });
    await fleet.refresh();
  }

  #taskOf(record: EnvironmentRecord, release: ReleaseRecord, task: TaskRecord): Task {
    const { process, ordinal, command, index, like } = task;
    const base = { process, ordinal, command, like };
    if (process === testProcess) return { ...base, sees: "artifact", environment: release.tests[index]?.env ?? {} };
    return { ...base, sees: "content", environment: process === runProcess ? {} : this.#preview(record, release) };
  }

  /**
   * Where a check finds one of the new instances; nothing while there is none. A daemon that was started since does not
   * know yet which of them are ready: they were when the check was begun.
   */
  #preview(record: EnvironmentRecord, release: ReleaseRecord): { readonly [name: string]: string } {
    const { fleet, ports } = this.#options;
    const set = record.sets.get(release.set);
    if (set === undefined) return {};
    const own = fleet.all().filter((one) => one.set === set.name && one.process === webProcess);
    const ready = new Set(readyInstances(set, own, ports.clock.now()).map(({ name }) => name));
    const [first] = own
      .filter(({ phase, address }) => phase === "running" && address !== null)
      .sort((a, b) => Number(ready.has(b.name)) - Number(ready.has(a.name)) || a.ordinal - b.ordinal);
    return first === undefined ? {} : { BRONZE_PREVIEW_URL: `http://${first.address}:${first.port}` };
  }

  async #finish(record: EnvironmentRecord, step: StepOf<"finish-task">): Promise<void> {
    const { ports, fleet, signal } = this.#options;
    const { instance, how, reason } = step;
    const task = record.tasks.get(instance);
    if (task === undefined) return;
    const facts = await ports.runtime.facts(instance);
    if (signal.aborted) return;
    const exit = how === "exited" ? (fleet.get(instance)?.exit ?? facts.exit) : null;
    await this.#end(record, task, {
      how,
      code: exit?.code ?? null,
      outOfMemory: exit?.outOfMemory ?? false,
      reason: reason ?? undefined,
      output: facts.logTail,
    });
    if (!signal.aborted) await this.#clear(record, instance);
  }

  /** Records a task's end; the rollout that it was part of ends with one that failed, in the same breath. */
  async #end(
    record: EnvironmentRecord,
    task: TaskRecord,
    end: {
      readonly how: TaskEnd;
      readonly code: number | null;
      readonly outOfMemory?: boolean;
      readonly reason: string | undefined;
      readonly output: readonly string[];
      /** Why it could not be started. */
      readonly refusal?: OperatorError;
    },
  ): Promise<void> {
    const { recorder, ports, signal } = this.#options;
    const { app, environment } = record;
    const { how, code, reason } = end;
    const release = record.releases.get(task.release);
    const isPassed = how === "exited" && code === 0;
    const fails = (): boolean => task.cause === null && !isPassed && record.active === task.release;
    const hide = release === undefined ? undefined : await hideAllVersions(ports, record, release.content);
    const told = end.output.slice(-50);
    let output = (hide?.(told) ?? told).map((line) => printableLine(line.slice(0, mostCharacters)));
    if (fails() && release !== undefined && task.process === testProcess)
      output = [...output, ...(await this.#attachFailed(release, task.index))];
    if (task.ended !== null || signal.aborted) return;
    const ended: EventData = {
      kind: "task.ended",
      app,
      environment,
      release: task.release,
      process: task.process,
      instance: task.instance,
      how,
      code,
      elapsedMs: Math.max(0, ports.clock.now() - task.startedAtMs),
      output,
      ...(reason === undefined ? {} : { reason }),
    };
    if (!fails() || release === undefined) {
      recorder.append(ended);
      return;
    }
    const { process, index, instance, command } = task;
    const finding = findingOf(how, code, end.outOfMemory ?? false, reason);
    const what = commandText(command);
    const refusal = end.refusal === undefined ? {} : { refusal: end.refusal };
    const failure = taskFailure(record, release, { process, index, what, finding, instance, output, ...refusal });
    recorder.append(ended, aborted(record, release, failure));
  }

  /** That its tests failed is known with the artifact, too. @returns what to say where it could not be attached */
  async #attachFailed(release: ReleaseRecord, index: number): Promise<readonly string[]> {
    try {
      const predicate = testResult(release, index);
      await this.#options.ports.evidence.attach(release.content.artifact, { predicateType: testResultType, predicate });
      return [];
    } catch (error) {
      return [`this result could not be attached to the artifact: ${asOperatorError(error).message}`];
    }
  }

  async #attest(record: EnvironmentRecord, step: StepOf<"attest">): Promise<void> {
    const { recorder, ports, signal } = this.#options;
    const { app, environment } = record;
    const release = record.releases.get(step.release);
    if (release === undefined) return;
    const { artifact } = release.content;
    const predicate = testResult(release, null);
    const result = await ports.evidence.attach(artifact, { predicateType: testResultType, predicate });
    if (signal.aborted || release.testResult !== null) return;
    const tests = testsDigest(release.tests);
    recorder.append({ kind: "tests.passed", app, environment, release: release.number, artifact, tests, result });
  }

  async #ask(record: EnvironmentRecord, step: StepOf<"ask">): Promise<void> {
    const { recorder, ports, fleet, signal } = this.#options;
    const { app, environment } = record;
    const { index, instance, path } = step;
    const release = record.releases.get(step.release);
    const asked = fleet.get(instance);
    if (release === undefined || asked === undefined || asked.address === null) return;
    const beganAtMs = ports.clock.monotonic();
    const { address, port } = asked;
    const answer = await ports.prober.probe({ address, port, path }, answerMs);
    if (signal.aborted || record.active !== release.number) return;
    const status = answer.kind === "answered" ? answer.status : null;
    const passed = status !== null && (step.status === null ? status >= 200 && status < 300 : status === step.status);
    const elapsedMs = Math.max(0, ports.clock.monotonic() - beganAtMs);
    const answered: EventData = {
      kind: "check.answered",
      app,
      environment,
      release: release.number,
      index,
      instance,
      path,
      status,
      passed,
      elapsedMs,
    };
    if (passed) {
      recorder.append(answered);
      return;
    }
    // A page that tells of a failure may hold what it failed with.
    const hide = await hideSecrets(ports, record, release.content);
    if (signal.aborted || record.active !== release.number) return;
    const wanted = step.status === null ? "2xx" : String(step.status);
    const failure = taskFailure(record, release, {
      process: checkProcess,
      index,
      what: `GET ${path}`,
      finding: status === null ? `got no answer (${answer.kind})` : `was answered with ${status}, ${wanted} was wanted`,
      instance,
      output: answer.kind === "answered" ? hide([answer.body]).flatMap(linesOfPage) : [],
    });
    recorder.append(answered, aborted(record, release, failure));
  }

  /** Ends what is left of a task. What it wrote stays in the logs. */
  async #clear(record: EnvironmentRecord, instance: InstanceName): Promise<void> {
    const { ports, fleet, signal } = this.#options;
    const isRunning = fleet.get(instance)?.phase === "running";
    await ports.runtime.remove([instance], isRunning ? graceMs : 0, signal);
    if (signal.aborted) return;
    fleet.forget(instance);
    const set = splitInstanceName(instance)?.set;
    if (set !== undefined && !record.sets.has(set)) await this.#options.releaseUnused();
  }
}

function isWanted(record: EnvironmentRecord, { ended, stop, cause, release }: TaskRecord): boolean {
  return ended === null && stop === null && (cause !== null || record.active === release);
}

/**
 * The set whose name a release's tasks carry, whether or not it has other instances now. What of its secrets has ended
 * does not come back.
 */
function setOf(record: EnvironmentRecord, released: ReleaseRecord): InstanceSet {
  const { app, environment } = record;
  const { set, content, number } = released;
  const release = splitInstanceName(`${set}-1`)?.release ?? number;
  return {
    name: set,
    app,
    environment,
    release,
    digest: digestNow(record, released),
    content: contentNow(record, content),
  };
}

function linesOfPage(body: string): readonly string[] {
  return body.slice(0, mostCharacters).split("\n").map(printableLine);
}
