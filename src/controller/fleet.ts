import { isTask, isWorker, splitInstanceName, webProcess, type InstanceName, type SetName } from "../model/names.ts";
import type { HealthSettings, RunSettings } from "../model/content.ts";
import type { Exit } from "../model/observation.ts";
import type { Clock } from "../ports/clock.ts";
import type { Prober, ProbeResult, ProbeTarget } from "../ports/prober.ts";
import type { ObservedInstance, Runtime } from "../ports/runtime.ts";
import {
  afterProbe,
  isPassed,
  nextProbeDelayMs,
  probePath,
  startingHealth,
  unknownHealth,
  type Health,
} from "../rollout/health.ts";
import type { InstanceView } from "../rollout/view.ts";
import { Members } from "./members.ts";
import { keepProbing } from "./probing.ts";
import { workerReadyMs } from "../rollout/processes.ts";

/** An instance with what its probes and the last look for drift told. */
export interface FleetInstance extends InstanceView {
  readonly port: number;
  readonly pid: number | null;
  readonly drift: readonly string[];
}

export interface FleetOptions {
  readonly runtime: Runtime;
  readonly prober: Prober;
  readonly clock: Clock;
  /** Settings of a set's content; undefined: the set is not ours (any more) and its instances are left unprobed. */
  readonly settingsOf: (set: SetName) => RunSettings | undefined;
  /** Whether it serves already, as by a place in the router: such an instance was healthy once. */
  readonly isServing: (instance: InstanceName) => boolean;
  readonly onExit: (instance: FleetInstance, exit: Exit) => void;
  /** Its supervisor ended: it must be replaced. */
  readonly onOrphan: (instance: FleetInstance) => void;
  readonly onHealth: (instance: FleetInstance, before: Health) => void;
}

/** All instances there are, probed. What it says is memory: the runtime and the probes are the truth behind it. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #instances = new Map<InstanceName, FleetInstance>();
  readonly #tasks = new Set<InstanceName>();
  readonly #members = new Map<SetName, Members>();
  readonly #cancelProbe = new Map<InstanceName, () => void>();
  #stopListening: () => void = () => {};
  #stopped = false;
  #refreshing: Promise<void> | null = null;
  #refreshAgain = false;
  /** Forgotten since the look under way began: what it saw of them is out of date. */
  readonly #forgotten = new Set<InstanceName>();
  /** Of those that ended since then it may have seen that they ran. */
  readonly #ended = new Set<InstanceName>();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  start(): void {
    const { runtime } = this.#options;
    const stopExits = runtime.onExit((name, exit) => this.#markExited(name, exit));
    // The next regular look makes up for one that fails.
    const stopOrphans = runtime.onOrphan(() => void this.refresh().catch(() => {}));
    this.#stopListening = () => {
      stopExits();
      stopOrphans();
    };
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    for (const cancel of this.#cancelProbe.values()) cancel();
    this.#cancelProbe.clear();
  }

  /** All instances but tasks', sorted by name. Costs as much as there are. */
  all(): readonly FleetInstance[] {
    return byName([...this.#members.values()].flatMap((members) => members.all()));
  }

  /** Instances of tasks, which are neither probed nor replaced, sorted by name. */
  tasks(): readonly FleetInstance[] {
    return this.#tasks.size === 0
      ? noTasks
      : byName([...this.#tasks].flatMap((name) => this.#instances.get(name) ?? []));
  }

  /** The instances of a set, without its tasks; undefined: it has none. */
  members(set: SetName): Members | undefined {
    return this.#members.get(set);
  }

  #put(instance: FleetInstance): void {
    const before = this.#instances.get(instance.name);
    this.#instances.set(instance.name, instance);
    if (isTask(instance.process)) {
      this.#tasks.add(instance.name);
      return;
    }
    let members = this.#members.get(instance.set);
    if (members === undefined) this.#members.set(instance.set, (members = new Members()));
    members.put(instance, before !== undefined && isQuiet(before, instance));
  }

  get(name: InstanceName): FleetInstance | undefined {
    return this.#instances.get(name);
  }

  /** Looks at what the runtime has. A look that was asked for while one is under way is taken after it. */
  async refresh(): Promise<void> {
    if (this.#refreshing !== null) {
      this.#refreshAgain = true;
      return this.#refreshing;
    }
    this.#refreshing = (async () => {
      try {
        do {
          this.#refreshAgain = false;
          this.#forgotten.clear();
          this.#ended.clear();
          this.#merge(await this.#options.runtime.observe());
        } while (this.#refreshAgain && !this.#stopped);
      } finally {
        this.#refreshing = null;
      }
    })();
    return this.#refreshing;
  }

  /** Probes a set's instances now, beside their regular probes. Only passed probes count; resolves within `timeoutMs`. */
  async ask(set: SetName, timeoutMs: number): Promise<void> {
    const { prober, clock, settingsOf, onHealth } = this.#options;
    const settings = settingsOf(set);
    if (settings === undefined) return;
    await Promise.all(
      this.all().map(async ({ name, set: own, process, phase, address, port }) => {
        if (own !== set || process !== webProcess || phase !== "running" || address === null) return;
        const result = await prober.probe({ address, port, path: probePath(settings.health) }, timeoutMs);
        const now = this.#instances.get(name);
        if (this.#stopped || now?.phase !== "running" || !isPassed(settings.health, result)) return;
        const after = { ...now, health: afterProbe(now.health, true, result, clock.now()) };
        this.#put(after);
        onHealth(after, now.health);
      }),
    );
  }

  setDrift(name: InstanceName, findings: readonly string[]): void {
    const instance = this.#instances.get(name);
    if (instance !== undefined) this.#put({ ...instance, drift: findings });
  }

  forget(name: InstanceName): void {
    this.#cancelProbe.get(name)?.();
    this.#cancelProbe.delete(name);
    this.#instances.delete(name);
    this.#tasks.delete(name);
    const set = splitInstanceName(name)?.set;
    const members = set === undefined ? undefined : this.#members.get(set);
    members?.remove(name);
    if (set !== undefined && members?.size === 0) this.#members.delete(set);
    this.#forgotten.add(name);
  }

  #merge(observed: readonly ObservedInstance[]): void {
    if (this.#stopped) return;
    const seen = new Set<InstanceName>();
    for (const one of observed) {
      if (this.#forgotten.has(one.name)) continue;
      seen.add(one.name);
      const known = this.#instances.get(one.name);
      // One that had ended, or was found half-made, and was made anew under its name, is another.
      const isAnew =
        known?.phase === "broken"
          ? one.phase !== "broken"
          : known?.phase === "exited" && one.phase === "running" && !this.#ended.has(one.name);
      if (known === undefined || isAnew) this.#adopt(one, isAnew);
      else if (known.phase === "running" && one.phase !== "running") this.#markExited(one.name, one.exit, one.phase);
      else if (known.address !== one.address || known.pid !== one.pid || known.orphaned !== one.orphaned) {
        const { address, pid, orphaned } = one;
        const now = { ...known, address, pid, orphaned };
        this.#put(now);
        // Seen before it had an address, it could not be probed.
        if (known.address === null && known.phase === "running") this.#lookAfter(one.name);
        if (orphaned) this.#options.onOrphan(now);
      }
    }
    for (const [name, instance] of this.#instances) {
      if (seen.has(name)) continue;
      // Gone without a trace, as after a reboot: nobody saw how it ended.
      if (instance.phase === "running") this.#markExited(name, null, "broken");
      this.forget(name);
    }
  }

  /** @param isAnew what had its name before may have served, it itself has not */
  #adopt(observed: ObservedInstance, isAnew: boolean): void {
    const { name, set, process, ordinal, phase, address, port, pid, startedAtMs, exit } = observed;
    const health = !isAnew && this.#options.isServing(name) ? unknownHealth : startingHealth;
    const ended = exit === null ? null : { ...exit, atMs: this.#options.clock.now() };
    this.#put({
      name,
      set,
      process,
      ordinal,
      phase,
      address,
      port,
      pid,
      startedAtMs,
      exit: ended,
      health,
      orphaned: observed.orphaned,
      drift: [],
    });
    if (phase === "running") this.#lookAfter(name);
  }

  /** Begins to tell an instance's health: by probes, or by the time it has run. A task's is told by its end. */
  #lookAfter(name: InstanceName): void {
    const instance = this.#instances.get(name);
    if (instance?.process === webProcess) this.#probe(name);
    else if (instance !== undefined && isWorker(instance.process)) this.#awaitRun(instance);
  }

  #awaitRun({ name, set, address }: FleetInstance): void {
    const { clock, settingsOf, onHealth } = this.#options;
    const settings = settingsOf(set);
    if (this.#stopped || address === null || settings === undefined) return;
    const settle = (): void => {
      this.#cancelProbe.delete(name);
      const now = this.#instances.get(name);
      if (this.#stopped || now?.phase !== "running") return;
      const after: FleetInstance = { ...now, health: { ...now.health, state: "healthy", healthySinceMs: clock.now() } };
      this.#put(after);
      onHealth(after, now.health);
    };
    this.#cancelProbe.set(name, clock.after(workerReadyMs(settings.minReadyMs), settle));
  }

  #markExited(name: InstanceName, exit: Exit | null, phase: "exited" | "broken" = "exited"): void {
    const instance = this.#instances.get(name);
    if (instance === undefined || instance.phase !== "running" || this.#stopped) return;
    this.#cancelProbe.get(name)?.();
    this.#cancelProbe.delete(name);
    // When it was noticed counts: what its files say is the time of day, which may have been set meanwhile.
    const ended: Exit = { ...(exit ?? { code: null, outOfMemory: false }), atMs: this.#options.clock.now() };
    const after: FleetInstance = { ...instance, phase, exit: ended, pid: null };
    this.#ended.add(name);
    this.#put(after);
    this.#options.onExit(after, ended);
  }

  #probe(name: InstanceName): void {
    const { prober, clock, settingsOf, onHealth } = this.#options;
    let asked: HealthSettings;
    const target = (): ProbeTarget | undefined => {
      const instance = this.#instances.get(name);
      const settings = instance === undefined ? undefined : settingsOf(instance.set);
      if (this.#stopped || instance === undefined || instance.address === null || settings === undefined)
        return undefined;
      asked = settings.health;
      return { address: instance.address, port: instance.port, path: probePath(asked) };
    };
    const onAnswer = (result: ProbeResult): number | undefined => {
      const before = this.#instances.get(name);
      if (this.#stopped || before === undefined || before.phase !== "running") return undefined;
      const health = afterProbe(before.health, isPassed(asked, result), result, clock.now());
      const after = { ...before, health };
      this.#put(after);
      onHealth(after, before.health);
      return nextProbeDelayMs(health);
    };
    this.#cancelProbe.get(name)?.();
    this.#cancelProbe.set(name, keepProbing({ prober, clock, target, onAnswer }));
  }
}

const noTasks: readonly FleetInstance[] = [];

function byName(instances: readonly FleetInstance[]): readonly FleetInstance[] {
  return instances.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether nothing has changed that a plan depends on: one more passed probe of many tells nothing new. */
function isQuiet(before: FleetInstance, after: FleetInstance): boolean {
  return (
    before.phase === after.phase &&
    before.address === after.address &&
    before.orphaned === after.orphaned &&
    before.health.state === after.health.state &&
    before.health.healthySinceMs === after.health.healthySinceMs &&
    before.health.unhealthySinceMs === after.health.unhealthySinceMs
  );
}
