import { asOperatorError } from "../errors/operator-error.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { environmentKey, isRouted, type EnvironmentRecord, type LedgerState, type SetRecord } from "../ledger/state.ts";
import {
  isTask,
  splitInstanceName,
  webProcess,
  type AppName,
  type InstanceName,
  type SetName,
} from "../model/names.ts";
import { nextDeadlineMs, planEnvironment, type Planner } from "../rollout/plan.ts";
import type { RouteRule } from "../model/observation.ts";
import { isLate } from "../rollout/plan-active.ts";
import { isConclusive, type AnalysisView } from "../rollout/plan-analysis.ts";
import { watchStep } from "../rollout/plan-watch.ts";
import { isUsable } from "../rollout/ready.ts";
import type { Step } from "../rollout/step.ts";
import { hasUsable, isPlaced, setView, type EnvironmentView, type SetView } from "../rollout/view.ts";
import { watchWindowMs, type TrafficShare } from "../rollout/watch.ts";
import { servingApps } from "../rollout/app-names.ts";
import { hasNeeds, waitsFor } from "../rollout/needs.ts";
import { AnalysisKeeper } from "./analysis-keeper.ts";
import { NameKeeper } from "./app-names.ts";
import { DriftWatch } from "./drift-watch.ts";
import { Executor } from "./executor.ts";
import { Fleet, type FleetInstance } from "./fleet.ts";
import { LimitKeeper } from "./limits.ts";
import type { ControllerPorts, Log } from "./ports.ts";
import { createQueue } from "./queue.ts";
import { sweepSecrets } from "./secret-sweep.ts";
import { Recorder } from "./recorder.ts";
import { liveRules } from "./routing.ts";
import { automaticRollback } from "./releases.ts";
import { TrafficWatch } from "./traffic-watch.ts";
import { Timers } from "./timers.ts";
import { lookAtTrust, trustMs } from "./trust-watch.ts";
import { firstRetryMs, slowestRetryMs, UnderWay } from "./under-way.ts";

/** How often the router's counts are looked at, in ms. */
const sampleMs = 250;
/** How often the runtime is looked at without a reason, in ms. */
const refreshMs = 5_000;
/** Most keys that are remembered: few sets are there at any time. */
const mostKeys = 1_000;
/** Name of the timer for what is about to be planned anew; no environment's key. */
const soonTimer = "soon";
/** More replans than this at one moment mean that two rules contradict each other. */
const mostReplans = 100;

const noTraffic: TrafficShare = { requests: 0, errors: 0 };
const noApps: ReadonlySet<AppName> = new Set();

/** After these what is plain about a set's instances may be another. */
const changesAll: ReadonlySet<LedgerEvent["data"]["kind"]> = new Set([
  "environment.changed",
  "release.created",
  "traffic.switched",
  "rollout.aborted",
  "secret.set",
  "secret.revoked",
  "secret.removed",
]);

/**
 * The loop: observe → plan → apply. It knows only ports; all its state but the probes is a fold of the ledger, so it
 * may be ended at any moment and begun again.
 */
export class Controller {
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly executor: Executor;
  readonly ports: ControllerPorts;
  /** Versions of secrets are given one after the other, by environment. */
  readonly secretChanges = createQueue();
  readonly #log: Log;
  readonly #planner: Planner;
  readonly #stopping = new AbortController();
  readonly #timers: Timers;
  readonly #underWay: UnderWay;
  readonly #traffic: TrafficWatch;
  readonly #analysis: AnalysisKeeper;
  readonly #drift: DriftWatch;
  readonly #names: NameKeeper;
  readonly #limits: LimitKeeper;
  /** Whether an instance of each environment serves, as others were told last. */
  readonly #serving = new Map<string, boolean>();
  /** Keys of sets' environments: worked out once, asked for all the time. */
  readonly #keys = new Map<SetName, string>();
  /** Instances whose health is about to be recorded. */
  readonly #recording = new Set<InstanceName>();
  #ticking = false;
  readonly #dirty = new Set<string>();
  /** Environments that are about to be planned anew. */
  readonly #soon = new Set<string>();

  /**
   * @param recorder of `ports.journal`, where there is one already
   * @param planner what decides; the simulator shows with another one that it would be found out
   */
  constructor(
    ports: ControllerPorts,
    log: Log,
    recorder = new Recorder(ports.journal, ports.clock),
    planner: Planner = planEnvironment,
  ) {
    this.ports = ports;
    this.#log = log;
    this.#planner = planner;
    this.#timers = new Timers(ports.clock, this.#stopping.signal, (thrown) =>
      this.#warn("a regular look failed", thrown),
    );
    this.recorder = recorder;
    this.fleet = new Fleet({
      runtime: ports.runtime,
      prober: ports.prober,
      clock: ports.clock,
      settingsOf: (set) => this.#recordOfSet(set)?.sets.get(set)?.content.settings,
      isServing: (name) => this.#isServing(name),
      onExit: (instance) => this.#onExit(instance),
      onOrphan: ({ set }) => {
        const record = this.#recordOfSet(set);
        if (record !== undefined) this.tick(keyOf(record));
      },
      onHealth: (instance, before) => {
        const { health } = instance;
        // Most answers are those of what has not come up yet.
        if (health.state === "starting" && health.probes > 1) return;
        const record = this.#recordOfSet(instance.set);
        if (record === undefined) return;
        const set = record.sets.get(instance.set);
        if (health.state === "healthy" && set?.proven.has(instance.name) === false)
          this.#recordHealthy(record, instance);
        if (health.state !== before || (set !== undefined && isNews(record, set, instance, ports.clock.now())))
          this.#tickSoon(keyOf(record));
      },
    });
    this.#traffic = new TrafficWatch({
      ports,
      recorder: this.recorder,
      signal: this.#stopping.signal,
      warn: (message, thrown) => this.#warn(message, thrown),
    });
    this.#analysis = new AnalysisKeeper({
      ports,
      share: (set, stretchMs) => this.#traffic.share(set, stretchMs),
      usable: (set) => this.fleet.members(set)?.all().filter(isUsable).length ?? 0,
      onMeasured: (key) => this.#onMeasured(key),
    });
    this.executor = new Executor({
      ports,
      recorder: this.recorder,
      fleet: this.fleet,
      signal: this.#stopping.signal,
      share: (set, stretchMs) => this.#traffic.share(set, stretchMs),
      tellNames: (record) => this.#names.look(record),
      watched: (record) => watchStep(record, this.view(record), this.ports.clock.now()),
      askedAt: (record, release) => this.#traffic.askedAt(record, release),
    });
    this.#underWay = new UnderWay({
      executor: this.executor,
      clock: ports.clock,
      timers: this.#timers,
      signal: this.#stopping.signal,
      setOf: (key, set) => this.state.environments.get(key)?.sets.get(set),
      takeBack: (record, step) => this.#takeBack(record, step),
      warn: (message, thrown) => this.#warn(message, thrown),
      onDone: (key) => this.#tickSoon(key),
      onRetry: (key) => this.tick(key),
    });
    this.#limits = new LimitKeeper({ ports, log, signal: this.#stopping.signal });
    this.#names = new NameKeeper({
      ports,
      log,
      signal: this.#stopping.signal,
      members: (set) => this.fleet.members(set),
    });
    this.#drift = new DriftWatch({
      ports,
      fleet: this.fleet,
      recorder: this.recorder,
      log,
      signal: this.#stopping.signal,
      recordOf: (set) => this.#recordOfSet(set),
      onFound: (record) => this.tick(keyOf(record)),
    });
  }

  get state(): LedgerState {
    return this.recorder.state;
  }

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Finds what runs and goes on from there. */
  async start(): Promise<void> {
    // From the first plan on, which a first probe may ask for: what is recorded changes what is known about instances.
    this.recorder.listen((event) => this.#onEvent(event));
    const { router, runtime } = this.ports;
    const running = (await runtime.observe()).filter(({ phase }) => phase === "running").map(({ name }) => name);
    await router.start({ rules: liveRules(this.state), running: new Set(running) }, this.#stopping.signal);
    await this.executor.routing.adopt();
    this.fleet.start();
    await this.fleet.refresh();
    await this.#removeStrangers();
    await this.#names.lookAtAll([...this.state.environments.values()]);
    await this.#sweepSecrets("remove");
    await this.executor
      .releaseUnused()
      .catch((error: unknown) => this.#warn("cannot free artifacts that no release has", error));
    this.#timers.every(sampleMs, () => this.#sample());
    this.#timers.every(
      refreshMs,
      () =>
        void this.fleet.refresh().then(
          () => this.tickAll(),
          (error: unknown) => this.#warn("cannot look at the runtime", error),
        ),
    );
    this.#drift.start((ms, callback) => this.#timers.every(ms, callback));
    this.#timers.every(trustMs, () => void this.#lookAtTrust());
    this.tickAll();
    void this.#lookAtTrust();
  }

  /** Ends the loop and waits for steps under way; instances and router go on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timers.stop();
    this.#analysis.stop();
    this.fleet.stop();
    this.recorder.end();
    await this.#underWay.settled();
  }

  /** What a plan for this environment is made of. */
  view(record: EnvironmentRecord): EnvironmentView {
    const analysis = this.#analysis.look(record);
    return {
      analysis,
      serving: this.#servingFor(record),
      bootedAtMs: this.state.timeline.boot?.atMs ?? null,
      sets: this.#setsOf(record),
      tasks: this.#tasksOf(record),
      placed: this.executor.routing.placed,
      drained: this.executor.routing.drained,
      rules: this.rulesOf(record),
      memory: this.ports.machine.memory(),
      recent: this.#recentOf(record),
    };
  }

  /** As a rule there are none. */
  #tasksOf(record: EnvironmentRecord): readonly FleetInstance[] {
    const tasks = this.fleet.tasks();
    return tasks.length === 0 ? tasks : tasks.filter(({ set }) => this.#recordOfSet(set) === record);
  }

  /** What answers the routes of an environment, or may do so already. */
  rulesOf(record: EnvironmentRecord): readonly RouteRule[] {
    return this.executor.routing.known().filter(({ stable }) => this.#recordOfSet(stable) === record);
  }

  #recentOf({ watch, live }: EnvironmentRecord): TrafficShare {
    return watch === null || live === null
      ? noTraffic
      : this.#traffic.share(live.set, watchWindowMs, watch.startedAtMs);
  }

  #setsOf(record: EnvironmentRecord): ReadonlyMap<SetName, SetView> {
    const nowMs = this.ports.clock.now();
    const sets = new Map<SetName, SetView>();
    for (const set of record.sets.values()) {
      const placed = this.executor.routing.placed.get(set.name);
      const members = this.fleet.members(set.name);
      if (members !== undefined)
        sets.set(set.name, members.view({ set, routed: isRouted(record, set.name), placed, nowMs }));
    }
    return sets;
  }

  /** Instances of an environment, without its tasks'. */
  instancesOf(record: EnvironmentRecord): readonly FleetInstance[] {
    return [...record.sets.keys()].flatMap((set) => this.fleet.members(set)?.all() ?? []);
  }

  /** What was known about instances of an environment may not hold any more. */
  #suspectAll(record: EnvironmentRecord | undefined): void {
    for (const set of record?.sets.keys() ?? []) this.fleet.members(set)?.suspectAll();
  }

  /** Looked at only where it matters: most apps need none. */
  #servingFor(record: EnvironmentRecord): ReadonlySet<AppName> {
    if (!hasNeeds(record)) return noApps;
    const coming = record.active === null ? null : (record.releases.get(record.active)?.settings ?? null);
    const needs = [...(record.settings.needs ?? []), ...(coming?.needs ?? [])];
    const needed = needs.flatMap((app) => this.state.environments.get(environmentKey(app, record.environment)) ?? []);
    const instances = needed.flatMap((other) => this.instancesOf(other));
    return servingApps(needed, instances);
  }

  /** Apps that an environment waits for before it starts. */
  waitsFor(record: EnvironmentRecord): readonly AppName[] {
    return waitsFor(record, this.view(record), this.ports.clock.now());
  }

  /** What was measured of the rollout under way; undefined: nothing is. */
  measured(record: EnvironmentRecord): AnalysisView | undefined {
    return this.#analysis.look(record);
  }

  /** Why an environment is not limited as it should be, in words. */
  limitProblem(record: EnvironmentRecord): string | undefined {
    return this.#limits.problemOf(record);
  }

  /** Why what is live could not be started, in words. */
  startProblem(record: EnvironmentRecord): string | undefined {
    return record.live === null ? undefined : this.executor.startProblems.get(record.live.set);
  }

  /** Remembers when a release was asked for, so that its time counts from there. @param askedAtMs monotonic */
  asked(record: EnvironmentRecord, release: number, askedAtMs: number): void {
    this.#traffic.asked(record, release, askedAtMs);
  }

  tickAll(): void {
    for (const key of this.state.environments.keys()) this.tick(key);
  }

  /** Plans an environment anew and starts what is to be done. */
  tick(key: string): void {
    this.#dirty.add(key);
    if (this.#ticking) return;
    // What was seen at this moment is in the plans.
    this.recorder.flush();
    this.#ticking = true;
    try {
      for (const one of this.#dirty) {
        this.#dirty.delete(one);
        const record = this.state.environments.get(one);
        if (record !== undefined && !this.#stopping.signal.aborted) this.#tickOrRetry(one, record);
      }
    } finally {
      this.#ticking = false;
    }
  }

  /** Plans an environment anew when all that happens at this moment has happened: many instances change at once. */
  #tickSoon(key: string): void {
    if (this.#soon.size === 0)
      this.#timers.after(soonTimer, 0, () => {
        const keys = [...this.#soon];
        this.#soon.clear();
        for (const key of keys) this.tick(key);
      });
    this.#soon.add(key);
  }

  #onMeasured(key: string): void {
    const record = this.state.environments.get(key);
    if (record !== undefined && isConclusive(record, this.measured(record), this.ports.clock.now())) this.tick(key);
  }

  #tickOrRetry(key: string, record: EnvironmentRecord): void {
    try {
      this.#tickOne(key, record);
    } catch (error) {
      this.#warn(`cannot plan ${key}; again in ${slowestRetryMs} ms`, error);
      this.#planAgainAt(key, this.ports.clock.now() + slowestRetryMs);
    }
  }

  #tickOne(key: string, record: EnvironmentRecord): void {
    for (let replans = 0; replans < mostReplans; replans += 1) {
      // What was recorded until here is in this plan.
      this.#dirty.delete(key);
      const now = this.ports.clock.now();
      const view = this.view(record);
      const steps = this.#planner(record, view, now);
      this.#tellOthers(key, record, view);
      if (!this.#underWay.begin(key, record, steps)) {
        this.#planAgainAt(key, nextDeadlineMs(record, view, now));
        return;
      }
    }
    this.#log("error", "a plan does not settle", { environment: key });
    this.#planAgainAt(key, this.ports.clock.now() + firstRetryMs);
  }

  /** Limits an environment as it is wanted, and lets others of its name know who is there: by name, and those that wait for it by a plan of theirs. */
  #tellOthers(key: string, record: EnvironmentRecord, view: EnvironmentView): void {
    this.#limits.look(record);
    void this.#names.look(record);
    const serves = record.live !== null && hasUsable(setView(view, record.live.set));
    if (this.#serving.get(key) === serves) return;
    this.#serving.set(key, serves);
    for (const [otherKey, other] of this.state.environments)
      if (other.environment === record.environment && other.sets.size > 0) this.#dirty.add(otherKey);
  }

  #planAgainAt(key: string, atMs: number | null): void {
    if (atMs === null) this.#timers.cancel(key);
    else this.#timers.at(key, atMs, () => this.tick(key));
  }

  #takeBack(record: EnvironmentRecord, step: Extract<Step, { kind: "take-back" }>): void {
    const events = automaticRollback(record, step, this.view(record), this.ports.clock.now());
    this.recorder.append(...events);
    const created = events.find((event) => event.kind === "release.created");
    if (created !== undefined) this.asked(record, created.release, this.ports.clock.monotonic());
  }

  #onEvent({ data }: LedgerEvent): void {
    if (data.kind === "traffic.switched") void this.#traffic.measure(data);
    else if (data.kind === "rollout.aborted") void this.#traffic.measure({ ...data, from: null });
    else if (data.kind === "set.removed" || data.kind === "task.ended") void this.#sweepSecrets("keep");
    if (data.kind === "instance.condemned" || data.kind === "instance.healthy") {
      const set = splitInstanceName(data.instance)?.set;
      if (set !== undefined) this.fleet.members(set)?.suspect(data.instance);
    }
    if (!("app" in data) || data.app === undefined) return;
    const key = environmentKey(data.app, data.environment);
    if (changesAll.has(data.kind)) this.#suspectAll(this.state.environments.get(key));
    // That instances are being started is of the plan that has them started.
    if (data.kind !== "instances.starting") this.#dirty.add(key);
  }

  #sample(): void {
    this.#traffic.sample();
    const nowMs = this.ports.clock.now();
    for (const [key, record] of this.state.environments) {
      if (record.watch === null) continue;
      const seen = { recent: this.#recentOf(record), sets: this.#setsOf(record) };
      // What was counted matters to the watch alone.
      if (watchStep(record, seen, nowMs) !== undefined) this.tick(key);
    }
  }

  #recordHealthy(record: EnvironmentRecord, instance: FleetInstance): void {
    const { app, environment } = record;
    const { name, startedAtMs } = instance;
    if (this.#recording.has(name)) return;
    this.#recording.add(name);
    const afterMs = Math.max(0, this.ports.clock.now() - startedAtMs);
    this.recorder.appendSoon(
      { kind: "instance.healthy", app, environment, instance: name, afterMs },
      () => this.#recording.delete(name),
      (error: unknown) => {
        this.#recording.delete(name);
        this.#warn(`cannot record that ${name} is healthy`, error);
      },
    );
  }

  #onExit(instance: FleetInstance): void {
    const record = this.#recordOfSet(instance.set);
    if (record === undefined) return;
    const { app, environment } = record;
    const { exit } = instance;
    const set = record.sets.get(instance.set);
    try {
      if (
        set !== undefined &&
        !isTask(instance.process) &&
        set.role !== "ending" &&
        !set.condemned.has(instance.name)
      ) {
        this.recorder.append({
          kind: "instance.exited",
          app,
          environment,
          instance: instance.name,
          code: exit?.code ?? null,
          outOfMemory: exit?.outOfMemory ?? false,
        });
      }
    } catch (error) {
      this.#warn(`cannot record that ${instance.name} ended`, error);
    }
    this.#tickSoon(keyOf(record));
  }

  /** Instances that no record knows of are ended: a crash between their start and its record may leave such. */
  async #removeStrangers(): Promise<void> {
    const strangers = [
      ...this.fleet.all().filter(({ set }) => this.#recordOfSet(set)?.sets.has(set) !== true),
      // What no record knows in an environment that there is, its plan ends.
      ...this.fleet.tasks().filter(({ set }) => this.#recordOfSet(set) === undefined),
    ];
    if (strangers.length === 0) return;
    this.#log("warn", "ending instances that no release knows", { instances: strangers.map(({ name }) => name) });
    await this.ports.runtime.remove(
      strangers.map(({ name }) => name),
      0,
      this.#stopping.signal,
    );
    for (const { name } of strangers) this.fleet.forget(name);
  }

  /** Values that nothing needs go; one that stays a while longer harms nobody. */
  async #sweepSecrets(strangers: "keep" | "remove"): Promise<void> {
    await sweepSecrets(this.ports.secrets, this.state, strangers).catch((error: unknown) =>
      this.#warn("cannot remove values of secrets that have ended", error),
    );
  }

  async #lookAtTrust(): Promise<void> {
    await lookAtTrust([...this.state.environments.values()], this.ports, this.recorder, this.#log).catch(
      (error: unknown) => this.#warn("cannot verify what is live", error),
    );
  }

  #isServing(name: InstanceName): boolean {
    const parts = splitInstanceName(name);
    if (parts === undefined) return false;
    const { set, process } = parts;
    if (isPlaced(this.executor.routing.placed.get(set), name)) return true;
    const record = this.#recordOfSet(set);
    const hasTraffic = record === undefined || (process === webProcess && isRouted(record, set));
    return !hasTraffic && record.sets.get(set)?.proven.has(name) === true;
  }

  #recordOfSet(set: SetName): EnvironmentRecord | undefined {
    let key = this.#keys.get(set);
    if (key === undefined) {
      const parts = splitInstanceName(`${set}-1`);
      key = parts === undefined ? "" : environmentKey(parts.app, parts.environment);
      if (this.#keys.size >= mostKeys) this.#keys.clear();
      this.#keys.set(set, key);
    }
    return this.state.environments.get(key);
  }

  #warn(message: string, thrown: unknown): void {
    if (this.#stopping.signal.aborted) return;
    this.#log("warn", message, { error: asOperatorError(thrown) });
  }
}

/**
 * Whether a probe that changed nothing told what a plan may follow from: the first answer after its deadline, which is
 * judged by it, and that a warm set which is to go live still answers. What time alone brings is planned for when it comes.
 */
function isNews(record: EnvironmentRecord, set: SetRecord, instance: FleetInstance, nowMs: number): boolean {
  if (instance.health.probes === 1 && isLate(instance, set, nowMs)) return true;
  if (set.role !== "warm" || record.active === null) return false;
  return record.releases.get(record.active)?.set === set.name;
}

export function keyOf(record: EnvironmentRecord): string {
  return environmentKey(record.app, record.environment);
}
