import { isTask, isWorker, webProcess, type InstanceName, type SetName } from "../model/names.ts";
import type { RunSettings } from "../model/content.ts";
import type { Exit } from "../model/observation.ts";
import type { Clock } from "../ports/clock.ts";
import type { Prober, ProbeResult } from "../ports/prober.ts";
import type { ObservedInstance, Runtime } from "../ports/runtime.ts";
import {
  afterProbe,
  countProbe,
  isPassed,
  nextProbeDelayMs,
  probePath,
  startingHealth,
  unknownHealth,
  type Health,
  type KeptHealth,
} from "../rollout/health.ts";
import type { InstanceView } from "../rollout/view.ts";
import { Members } from "./members.ts";
import { Probing } from "./probing.ts";
import { workerReadyMs } from "../rollout/processes.ts";

/** An instance with what its probes and the last look for drift told. */
export interface FleetInstance extends InstanceView {
  readonly port: number;
  readonly pid: number | null;
  readonly drift: readonly string[];
}

/** Its probes are counted in place: whoever has it sees what the last one told. */
interface Kept extends FleetInstance {
  readonly health: KeptHealth;
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
  /** It was asked, or has run for long enough. @param before what its state was */
  readonly onHealth: (instance: FleetInstance, before: Health["state"]) => void;
}

/** All instances there are, probed. What it says is memory: the runtime and the probes are the truth behind it. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #instances = new Map<InstanceName, Kept>();
  readonly #tasks = new Set<InstanceName>();
  readonly #members = new Map<SetName, Members>();
  readonly #probing: Probing;
  /** Of workers, which are not asked: ends the wait until they have run for long enough. */
  readonly #cancelRun = new Map<InstanceName, () => void>();
  #stopListening: readonly (() => void)[] = [];
  #stopped = false;
  #refreshing: Promise<void> | null = null;
  #refreshAgain = false;
  /** Forgotten since the look under way began: what it saw of them is out of date. */
  readonly #forgotten = new Set<InstanceName>();
  /** Of those that ended since then it may have seen that they ran. */
  readonly #ended = new Set<InstanceName>();

  constructor(options: FleetOptions) {
    this.#options = options;
    const { prober, clock } = options;
    this.#probing = new Probing({
      prober,
      clock,
      onAnswer: (name, passed, result) => this.#hear(name, passed, result),
    });
  }

  start(): void {
    const { runtime } = this.#options;
    const stopExits = runtime.onExit((name, exit) => this.#markExited(name, exit));
    // The next regular look makes up for one that fails.
    const stopOrphans = runtime.onOrphan(() => void this.refresh().catch(() => {}));
    this.#stopListening = [stopExits, stopOrphans];
  }

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stopListening) stop();
    this.#probing.stop();
    for (const cancel of this.#cancelRun.values()) cancel();
    this.#cancelRun.clear();
  }

  /** All instances but tasks', sorted by name. Costs as much as there are. */
  all(): readonly FleetInstance[] {
    // Names begin with their set's: in the order of the sets they are in their own.
    const all: FleetInstance[] = [];
    for (const set of [...this.#members.keys()].sort())
      for (const instance of this.#members.get(set)?.all() ?? []) all.push(instance);
    return all;
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

  #put(instance: Kept): void {
    this.#instances.set(instance.name, instance);
    if (isTask(instance.process)) {
      this.#tasks.add(instance.name);
      return;
    }
    let members = this.#members.get(instance.set);
    if (members === undefined) this.#members.set(instance.set, (members = new Members()));
    members.put(instance);
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
    const { prober, settingsOf } = this.#options;
    const settings = settingsOf(set);
    if (settings === undefined) return;
    await Promise.all(
      this.all().map(async ({ name, set: own, process, phase, address, port }) => {
        if (own !== set || process !== webProcess || phase !== "running" || address === null) return;
        const result = await prober.probe({ address, port, path: probePath(settings.health) }, timeoutMs);
        const now = this.#instances.get(name);
        if (this.#stopped || now?.phase !== "running" || !isPassed(settings.health, result)) return;
        this.#note(now, true, result);
      }),
    );
  }

  setDrift(name: InstanceName, findings: readonly string[]): void {
    const instance = this.#instances.get(name);
    if (instance !== undefined) this.#put({ ...instance, drift: findings });
  }

  forget(name: InstanceName): void {
    this.#leave(name);
    const set = this.#instances.get(name)?.set;
    this.#instances.delete(name);
    this.#tasks.delete(name);
    const members = set === undefined ? undefined : this.#members.get(set);
    members?.remove(name);
    if (set !== undefined && members?.size === 0) this.#members.delete(set);
    this.#forgotten.add(name);
  }

  #merge(observed: readonly ObservedInstance[]): void {
    if (this.#stopped) return;
    let seen = 0;
    for (const one of observed) {
      if (this.#forgotten.has(one.name)) continue;
      seen += 1;
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
        if (known.address !== address && known.phase === "running") this.#lookAfter(now);
        if (orphaned) this.#options.onOrphan(now);
      }
    }
    // All that were seen are known by now: nearly always nobody else is.
    if (seen === this.#instances.size) return;
    const there = new Set(observed.map(({ name }) => name));
    for (const [name, instance] of this.#instances) {
      if (there.has(name)) continue;
      // Gone without a trace, as after a reboot: nobody saw how it ended.
      if (instance.phase === "running") this.#markExited(name, null, "broken");
      this.forget(name);
    }
  }

  /** @param isAnew what had its name before may have served, it itself has not */
  #adopt(observed: ObservedInstance, isAnew: boolean): void {
    const { name, set, process, ordinal, phase, address, port, pid, startedAtMs, exit } = observed;
    const health = { ...(!isAnew && this.#options.isServing(name) ? unknownHealth : startingHealth) };
    const ended = exit === null ? null : { ...exit, atMs: this.#options.clock.now() };
    const adopted: Kept = {
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
    };
    this.#put(adopted);
    if (phase === "running") this.#lookAfter(adopted);
  }

  /** Begins to tell an instance's health: by probes, or by the time it has run. A task's is told by its end. */
  #lookAfter({ name, set, process, address, port }: FleetInstance): void {
    this.#leave(name);
    const settings = this.#options.settingsOf(set);
    if (this.#stopped || address === null || settings === undefined) return;
    if (process === webProcess)
      this.#probing.begin(name, { address, port, path: probePath(settings.health) }, settings.health);
    else if (isWorker(process)) this.#awaitRun(name, settings);
  }

  #leave(name: InstanceName): void {
    this.#probing.end(name);
    this.#cancelRun.get(name)?.();
    this.#cancelRun.delete(name);
  }

  #awaitRun(name: InstanceName, { minReadyMs }: RunSettings): void {
    const { clock, onHealth } = this.#options;
    const settle = (): void => {
      this.#cancelRun.delete(name);
      const now = this.#instances.get(name);
      if (now === undefined) return;
      const after: Kept = { ...now, health: { ...now.health, state: "healthy", healthySinceMs: clock.now() } };
      this.#put(after);
      onHealth(after, now.health.state);
    };
    this.#cancelRun.set(name, clock.after(workerReadyMs(minReadyMs), settle));
  }

  #markExited(name: InstanceName, exit: Exit | null, phase: "exited" | "broken" = "exited"): void {
    const instance = this.#instances.get(name);
    if (instance === undefined || instance.phase !== "running" || this.#stopped) return;
    this.#leave(name);
    // When it was noticed counts: what its files say is the time of day, which may have been set meanwhile.
    const ended: Exit = { ...(exit ?? { code: null, outOfMemory: false }), atMs: this.#options.clock.now() };
    const after: Kept = { ...instance, phase, exit: ended, pid: null };
    this.#ended.add(name);
    this.#put(after);
    this.#options.onExit(after, ended);
  }

  /** @returns time until it is asked again, in ms */
  #hear(name: InstanceName, passed: boolean, result: ProbeResult): number | undefined {
    const instance = this.#instances.get(name);
    return instance === undefined ? undefined : nextProbeDelayMs(this.#note(instance, passed, result));
  }

  /** @returns its health with one more probe */
  #note(instance: Kept, passed: boolean, result: ProbeResult): Health {
    const { clock, onHealth } = this.#options;
    const { health } = instance;
    const { state } = health;
    if (countProbe(health, passed, result, clock.now())) {
      onHealth(instance, state);
      return health;
    }
    const after: Kept = { ...instance, health: afterProbe(health, passed, result, clock.now()) };
    this.#put(after);
    onHealth(after, state);
    return after.health;
  }
}

const noTasks: readonly FleetInstance[] = [];

function byName(instances: readonly FleetInstance[]): readonly FleetInstance[] {
  return instances.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
