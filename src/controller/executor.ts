import { OperatorError, asOperatorError, causeText } from "../errors/operator-error.ts";
import type { CondemnType, EventData, Failure } from "../ledger/event.ts";
import { crashesOf } from "../ledger/crashes.ts";
import { settingsFor, type EnvironmentRecord, type SetRecord } from "../ledger/state.ts";
import {
  instanceName,
  isWorker,
  splitInstanceName,
  webProcess,
  type ProcessName,
  type SetName,
} from "../model/names.ts";
import { volumesOf } from "../model/volumes.ts";
import type { InstanceSet } from "../ports/runtime.ts";
import { diagnose } from "../rollout/diagnosis.ts";
import type { Health } from "../rollout/health.ts";
import { readyInstances } from "../rollout/ready.ts";
import { servingText } from "../rollout/serving-text.ts";
import type { Step } from "../rollout/step.ts";
import { staysText } from "../rollout/task-outcome.ts";
import { isSwitchIssued } from "../rollout/view.ts";
import type { TrafficShare } from "../rollout/watch.ts";
import type { Fleet } from "./fleet.ts";
import { decisionEvents } from "./decision-events.ts";
import { InstanceEnds } from "./instance-ends.ts";
import { refuseLostVolumes } from "./lost-volumes.ts";
import type { ControllerPorts } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import { revokedFailure } from "./refusals.ts";
import { aborted, quarantine } from "./releases.ts";
import { Routing } from "./routing.ts";
import { hideSecrets } from "./secret-values.ts";
import { TaskRunner } from "./task-runner.ts";
import { VolumeRunner } from "./volume-runner.ts";

/** Longest time that a rollout waits for a volume that is still another's, in ms. */
const attachedMs = 20_000;
/** Longest text of why workers could not be started, in characters. */
const longestReason = 500;

export interface ExecutorOptions {
  readonly ports: ControllerPorts;
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly signal: AbortSignal;
  /** Requests of a set in the stretch before now, from memory. */
  readonly share: (set: SetName, stretchMs: number) => TrafficShare;
  /** What the watch of what is live comes to at this moment; undefined: it goes on. */
  readonly watched: (record: EnvironmentRecord) => Step | undefined;
  /** Monotonic ms when a release was asked for, as far as this process knows. */
  readonly askedAt: (record: EnvironmentRecord, release: number) => number | undefined;
  /** Lets names stand for who is there now. */
  readonly tellNames: (record: EnvironmentRecord) => Promise<void>;
}

/** Carries out steps. */
export class Executor {
  readonly routing: Routing;
  /** Why what is live could not be started when it was last tried. */
  readonly startProblems = new Map<SetName, string>();
  readonly #options: ExecutorOptions;
  readonly #ends: InstanceEnds;
  readonly #tasks: TaskRunner;
  readonly #volumes: VolumeRunner;
  /** Since when sets cannot start because a volume is still another's, monotonic. */
  readonly #waitingSince = new Map<SetName, number>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.routing = new Routing(options);
    this.#ends = new InstanceEnds(options, this.routing);
    this.#tasks = new TaskRunner({ ...options, releaseUnused: () => this.releaseUnused() });
    const abort = this.#abortActive.bind(this);
    this.#volumes = new VolumeRunner({ ...options, abort });
  }

  /** Steps that only record something: done when this returns true. @param plan whose step it is */
  record(record: EnvironmentRecord, step: Step, plan: readonly Step[]): boolean {
    const { app, environment } = record;
    const { recorder } = this.#options;
    switch (step.kind) {
      case "prove":
        recorder.append(...decisionEvents(record, step.release, [step.decision]), {
          kind: "release.proven",
          app,
          environment,
          release: step.release,
          reason: step.reason,
        });
        return true;
      case "warn":
        recorder.append(...decisionEvents(record, step.release, [step.decision]), {
          kind: "watch.warned",
          app,
          environment,
          release: step.release,
          figures: step.figures,
          reason: step.reason,
        });
        return true;
      case "hold": {
        const { release, to, figures, reason, decision } = step;
        const held: EventData = { kind: "watch.held", app, environment, release, to, figures, reason };
        recorder.append(...decisionEvents(record, release, [decision]), held);
        return true;
      }
      case "refuse": {
        const release = record.releases.get(step.release);
        const failure = revokedFailure(record, `v${step.release}`, step.reason);
        if (release !== undefined) recorder.append(aborted(record, release, failure, true));
        return true;
      }
      case "step":
        recorder.append(
          ...decisionEvents(record, step.release, step.decisions),
          ...steppedEvents(record, step),
          // As a rule they are too many by what this step comes to.
          ...condemnedEvents(record, plan),
        );
        return true;
      case "decide":
        recorder.append(...decisionEvents(record, step.release, [step.decision]));
        return true;
      case "pause": {
        const { release, decision } = step;
        const paused: EventData = {
          kind: "rollout.paused",
          app,
          environment,
          release,
          by: "analysis",
          reason: decision.sentence,
        };
        recorder.append(...decisionEvents(record, release, [decision]), paused);
        return true;
      }
      case "reject":
        recorder.append(...decisionEvents(record, step.release, step.decisions), ...rejectedEvents(record, step));
        return true;
      case "retire":
        recorder.append({ kind: "set.retired", app, environment, set: step.set, reason: step.reason });
        return true;
      case "condemn":
        recorder.append(...condemnedEvents(record, plan));
        return true;
      default:
        return false;
    }
  }

  /**
   * Carries out a step that touches the world; when it resolves, its result is observed and recorded. What several steps of a
   * plan do together waits for `begun`.
   */
  run(record: EnvironmentRecord, step: Step): Promise<void> {
    return this.#carryOut(record, step).catch((error: unknown) => {
      // Without room a rollout ends and says so, which the reserve makes possible. A rollback that nobody waits for goes on
      // trying: what it leaves is worse.
      const isFull = asOperatorError(error).code === "DISK_FULL";
      const set = "set" in step ? record.sets.get(step.set) : undefined;
      if (!isFull || set === undefined || isAutomatic(record) || !this.#abortActive(record, set, error)) throw error;
    });
  }

  /** No more steps of this plan: from here on what it asks for is on its way, as another plan has to know. */
  begun(): void {
    this.#ends.begin();
  }

  #carryOut(record: EnvironmentRecord, step: Step): Promise<void> {
    switch (step.kind) {
      case "ensure":
        return this.#ensure(record, step);
      case "place":
        return this.routing.place(step);
      case "switch":
        return this.routing.switch(record, step);
      case "route":
        return this.routing.change(step.route, step.rule);
      case "fail":
        return this.#fail(record, step);
      case "end":
        return this.#ends.run(record, step);
      case "forget":
        return this.#forget(record, step);
      case "start-task":
      case "finish-task":
      case "clear-task":
      case "attest":
      case "ask":
        return this.#tasks.run(record, step);
      case "yield":
      case "snapshot":
        return this.#volumes.run(record, step);
      default:
        return Promise.reject(new Error(`step ${step.kind} is recorded, not run`));
    }
  }

  async #ensure(record: EnvironmentRecord, step: Extract<Step, { kind: "ensure" }>): Promise<void> {
    const { recorder, ports, fleet, signal } = this.#options;
    const { app, environment } = record;
    const set = record.sets.get(step.set);
    const { process = webProcess, ending } = step;
    if (set === undefined) return;
    recorder.append({
      kind: "instances.starting",
      app,
      environment,
      set: set.name,
      ...(step.process === undefined ? {} : { process: step.process }),
      count: step.count,
      ordinals: step.ordinals,
      ...(step.without === undefined ? {} : { without: step.without }),
    });
    try {
      await ports.runtime.prepare(set.content.artifact, signal, set.environment);
      // Its rollout may have been ended meanwhile, or another have gone live.
      if (set.role === "ending" || (isWorker(process) && set.role !== "live")) return;
      const volumes = volumesOf(set.content.settings, process, set);
      if (volumes.length > 0) await refuseLostVolumes(ports.volumes, record, volumes);
      const wanted = {
        process,
        count: step.count,
        ordinals: step.ordinals,
        ...(ending === undefined ? {} : { ending }),
      };
      await ports.runtime.ensure(instanceSet(set), wanted, signal);
      this.#waitingSince.delete(set.name);
      this.startProblems.delete(set.name);
    } catch (error) {
      await fleet.refresh();
      if (signal.aborted) return;
      if (this.#isToWait(set, error)) throw error;
      const { message, hint } = asOperatorError(error);
      if (set.role === "live") this.startProblems.set(set.name, `${message} (${hint})`);
      if (isWorker(process)) return this.#workersFailed(record, set, process, error);
      const isFull = asOperatorError(error).code === "DISK_FULL";
      if ((isFull && isAutomatic(record)) || !this.#abortActive(record, set, error)) throw error;
      return;
    }
    await fleet.refresh();
    const role = record.sets.get(step.set)?.role;
    if (!signal.aborted && role !== undefined && role !== "ending") this.#refuseNothing(step, process);
  }

  /** What was asked for and did not come would be asked for again at once, and again: as what failed it waits. */
  #refuseNothing({ set, count, ordinals, ending = [] }: Extract<Step, { kind: "ensure" }>, process: ProcessName): void {
    const { fleet } = this.#options;
    if (ordinals.some((ordinal) => fleet.get(instanceName(set, ordinal, process)) !== undefined)) return;
    const all = fleet.members(set)?.all() ?? [];
    const there = all.filter((one) => one.process === process && one.phase === "running" && !ending.includes(one.name));
    if (there.length >= count) return;
    throw new OperatorError(
      "RUNTIME_FAILED",
      `Cannot start instances of ${set}: ${there.length} of ${count} run, and the runtime started none`,
      { hint: "it is tried again; if it stays so, `bronze doctor` looks at what the machine lacks" },
    );
  }

  /** Whoever still has a volume is about to end; it is tried again, but not for ever while nothing answers. */
  #isToWait(set: SetRecord, thrown: unknown): boolean {
    if (asOperatorError(thrown).code !== "VOLUME_ATTACHED") return false;
    const now = this.#options.ports.clock.monotonic();
    const since = this.#waitingSince.get(set.name) ?? now;
    this.#waitingSince.set(set.name, since);
    return now - since < attachedMs;
  }

  /** What cannot be started is tried again as what has ended is, and tells the watch as much; other trouble is the machine's. */
  #workersFailed(record: EnvironmentRecord, set: SetRecord, process: ProcessName, thrown: unknown): void {
    const { app, environment } = record;
    const error = asOperatorError(thrown);
    // Told to end while they were being started.
    if (set.role !== "live") return;
    if (error.code !== "RUNTIME_FAILED") throw error;
    // As a rule the runtime's own words are in the message already.
    const cause = error.message.includes(": ") ? undefined : causeText(error.cause);
    const reason = cause === undefined ? error.message : `${error.message}: ${cause}`;
    this.#options.recorder.append({
      kind: "instances.failed",
      app,
      environment,
      set: set.name,
      process,
      reason: reason.slice(0, longestReason),
    });
  }

  /** A machine that refuses to start the new content ends its rollout; what serves is left as it is. */
  #abortActive(record: EnvironmentRecord, set: SetRecord, thrown: unknown): boolean {
    const release = record.active === null ? undefined : record.releases.get(record.active);
    if (release === undefined || release.set !== set.name || set.role === "live") return false;
    // What is left to do is tried again, for what is live by then.
    if (this.#isSwitching(record)) return false;
    const error = asOperatorError(thrown);
    const cause = causeText(error.cause);
    this.#options.recorder.append(
      aborted(record, release, {
        code: error.code,
        summary: error.message,
        hint: `${error.hint}; ${servingText(record)}${staysText(release)}`,
        evidence: cause === undefined ? [] : [cause],
      }),
    );
    return true;
  }

  /** Whether the router is about to send all requests to what is on its way, or does so already. */
  #isSwitching(record: EnvironmentRecord): boolean {
    return isSwitchIssued(record, { rules: this.routing.known() });
  }

  async #fail(record: EnvironmentRecord, step: Extract<Step, { kind: "fail" }>): Promise<void> {
    const { recorder, ports, fleet } = this.#options;
    const release = record.releases.get(step.release);
    const set = release === undefined ? undefined : record.sets.get(release.set);
    if (release === undefined || set === undefined) return;
    const instance = step.instance === null ? undefined : fleet.get(step.instance);
    const facts = instance === undefined ? undefined : await ports.runtime.facts(instance.name);
    const hide = await hideSecrets(ports, record, set.content);
    // Another plan may have begun to switch to it meanwhile: who answers then is no more this one's to say.
    if (record.active !== step.release || this.#isSwitching(record)) return;
    const now = ports.clock.now();
    const instances = fleet.members(set.name)?.all() ?? [];
    const failure: Failure = diagnose({
      app: record.app,
      environment: record.environment,
      release: release.number,
      serving: servingText(record),
      ready: readyInstances(set, instances, now).length,
      wanted: settingsFor(record, set.name).instances,
      afterMs: now - release.sinceMs,
      reason: step.reason,
      crashes: step.reason === "crashing" ? crashesOf(set, webProcess).last : null,
      instance:
        instance === undefined || facts === undefined
          ? null
          : {
              name: instance.name,
              facts: { ...facts, logTail: hide(facts.logTail) },
              health: withoutSecrets(instance.health, hide),
              settings: set.content.settings,
            },
    });
    // What nobody let go on in time, or never had an instance, tells nothing about its content.
    const isBad = step.reason !== "paused" && instance !== undefined;
    recorder.append(
      ...decisionEvents(record, release.number, [step.decision]),
      aborted(record, release, { ...failure, hint: `${failure.hint}${staysText(release)}` }),
      ...(isBad ? quarantine(record, release, failure.summary) : []),
    );
  }

  async #forget(record: EnvironmentRecord, step: Extract<Step, { kind: "forget" }>): Promise<void> {
    const { recorder, ports, fleet, signal } = this.#options;
    // One may still be on its way, asked for before its rollout was ended: without its set nobody would end it.
    await fleet.refresh();
    if (signal.aborted || fleet.members(step.set) !== undefined) return;
    // It may have a place without endpoints, which is not listed.
    await ports.router.place({ set: step.set, endpoints: [] }, signal);
    this.routing.forget(step.set);
    this.#waitingSince.delete(step.set);
    recorder.append({ kind: "set.removed", app: record.app, environment: record.environment, set: step.set });
    await this.releaseUnused();
  }

  /** Frees the artifacts that no set has; a daemon that was killed after it had recorded a set's end leaves such. */
  async releaseUnused(): Promise<void> {
    const { recorder, ports } = this.#options;
    const kept = new Set<SetRecord["content"]["artifact"]>();
    for (const { sets, tasks, releases } of recorder.state.environments.values()) {
      for (const { content } of sets.values()) kept.add(content.artifact);
      for (const { release, ended } of tasks.values()) {
        const artifact = releases.get(release)?.content.artifact;
        if (ended === null && artifact !== undefined) kept.add(artifact);
      }
    }
    await ports.runtime.release([...kept]);
  }
}

/** It proved bad under traffic: none of it serves on, and it is not put live again. */
function rejectedEvents(
  record: EnvironmentRecord,
  { release: number, reason }: Extract<Step, { kind: "reject" }>,
): readonly EventData[] {
  const release = record.releases.get(number);
  if (release === undefined) return [];
  const summary = `Cannot complete rollout of ${record.app} to v${number} in ${record.environment}: its analysis failed; ${reason}`;
  const hint = `\`bronze why v${number}\` tells on which numbers; ${servingText(record, true)}${staysText(release)}`;
  const failure: Failure = { code: "ROLLOUT_FAILED", summary, hint, evidence: [] };
  return [aborted(record, release, failure, true), ...quarantine(record, release, `its analysis failed: ${reason}`)];
}

/**
 * All instances that a plan has go are told to at once: each by itself would be planned for by itself. Of one set's only those
 * of the first reason: without them the others may not be too many any more, and one may go for two reasons.
 */
function condemnedEvents({ app, environment }: EnvironmentRecord, plan: readonly Step[]): readonly EventData[] {
  const events: EventData[] = [];
  const reasons = new Map<SetName, CondemnType>();
  for (const step of plan) {
    if (step.kind !== "condemn") continue;
    const { instance, type, reason } = step;
    const set = splitInstanceName(instance)?.set;
    if (set === undefined || (reasons.get(set) ?? type) !== type) continue;
    reasons.set(set, type);
    events.push({ kind: "instance.condemned", app, environment, instance, type, reason });
  }
  return events;
}

function steppedEvents(
  { app, environment }: EnvironmentRecord,
  { release, step, weight, reason, counts, instances, pause }: Extract<Step, { kind: "step" }>,
): readonly EventData[] {
  const stepped: EventData = {
    kind: "rollout.stepped",
    app,
    environment,
    release,
    step,
    weight,
    reason,
    ...(counts === undefined ? {} : { counts }),
    ...(instances === undefined ? {} : { instances }),
  };
  if (pause === undefined) return [stepped];
  return [stepped, { kind: "rollout.paused", app, environment, release, by: "plan", reason: pause }];
}

/** A page that tells of a failure may hold what it failed with. */
function withoutSecrets(health: Health, hide: (lines: readonly string[]) => readonly string[]): Health {
  const { last } = health;
  if (last?.kind !== "answered") return health;
  return { ...health, last: { ...last, body: hide([last.body])[0] ?? "" } };
}

function isAutomatic(record: EnvironmentRecord): boolean {
  return record.active !== null && record.releases.get(record.active)?.automatic === true;
}

function instanceSet(set: SetRecord): InstanceSet {
  const { name, app, environment, release, digest, content } = set;
  return { name, app, environment, release, digest, content };
}

/** The error a failure is for those who wait for the release. */
export function failureError(failure: Failure): OperatorError {
  return new OperatorError(failure.code, failure.summary, {
    hint: failure.hint,
    ...(failure.evidence.length === 0
      ? {}
      : { cause: failure.evidence.join("\n"), details: { evidence: failure.evidence } }),
  });
}
