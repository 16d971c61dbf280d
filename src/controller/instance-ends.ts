import { isRouted, type EnvironmentRecord } from "../ledger/state.ts";
import { isWorker, splitInstanceName, type InstanceName, type ProcessName } from "../model/names.ts";
import type { Step } from "../rollout/step.ts";
import { isPlaced } from "../rollout/view.ts";
import type { ExecutorOptions } from "./executor.ts";
import type { Routing } from "./routing.ts";
import { sleep } from "./sleep.ts";

type EndStep = Extract<Step, { kind: "end" }>;

/** One instance that is to go, and the step that waits for it. */
interface End {
  readonly instance: InstanceName;
  readonly resolve: () => void;
  readonly reject: (thrown: unknown) => void;
}

/** Instances of one plan that go in the same way: the router and the runtime are asked once for all of them. */
interface Group {
  readonly record: EnvironmentRecord;
  readonly step: Pick<EndStep, "set" | "drainUntilMs">;
  /** Undefined: they are called as no instance of a set is, and no event tells of them. */
  readonly process: ProcessName | undefined;
  readonly waits: Waits;
  readonly ends: End[];
}

/**
 * For which requests: of those that have a place in the router each for its own, and of a set that ends all for those of all:
 * no route leads there, and while one of them has requests the others stand by for them, should it die.
 */
type Waits = "none" | "own" | "all";

/** Time between two looks whether instances that end still have requests, in ms. */
const drainPollMs = 100;
/** Time between SIGTERM and SIGKILL, in ms. */
const graceMs = 10_000;

/** Ends instances: out of the router when their requests are done, then their processes, then the record of it. */
export class InstanceEnds {
  readonly #options: ExecutorOptions;
  readonly #routing: Routing;
  /** Of the plan that is being begun: none of them has begun yet. */
  #joining: Group[] = [];

  constructor(options: ExecutorOptions, routing: Routing) {
    this.#options = options;
    this.#routing = routing;
  }

  /**
   * Ends an instance, with those of its set that the same plan ends, as soon as `begin` is called. Resolves when that is
   * recorded.
   */
  run(record: EnvironmentRecord, { set, instance, drainUntilMs }: EndStep): Promise<void> {
    const process = splitInstanceName(instance)?.process;
    const placed = drainUntilMs !== null && isPlaced(this.#routing.placed.get(set), instance);
    const waits = !placed ? "none" : record.sets.get(set)?.role === "ending" ? "all" : "own";
    let group = this.#joining.find(
      (one) =>
        one.step.set === set &&
        one.step.drainUntilMs === drainUntilMs &&
        one.process === process &&
        one.waits === waits,
    );
    if (group === undefined) {
      group = { record, step: { set, drainUntilMs }, process, waits, ends: [] };
      this.#joining.push(group);
    }
    const { ends } = group;
    return new Promise((resolve, reject) => ends.push({ instance, resolve, reject }));
  }

  /** The plan has no more of them. */
  begin(): void {
    if (this.#joining.length === 0) return;
    const groups = this.#joining;
    this.#joining = [];
    for (const group of groups) void this.#end(group);
  }

  async #end(group: Group): Promise<void> {
    const { ports, signal } = this.#options;
    let left: readonly End[] = group.ends;
    try {
      if (group.waits === "none") return await this.#remove(group, left);
      const untilMs = await this.#drain(group);
      while (!signal.aborted) {
        const free = await this.#free(group, left, untilMs);
        // Told to stop meanwhile: whoever was ended now would have no grace.
        if (signal.aborted) break;
        if (free.length > 0) {
          left = left.filter((end) => !free.includes(end));
          void this.#cut(group, free);
        }
        if (left.length === 0) return;
        await sleep(ports.clock, drainPollMs, signal);
      }
      for (const { resolve } of left) resolve();
    } catch (error) {
      for (const { reject } of left) reject(error);
    }
  }

  /**
   * Leads new requests away, as far as that has to be done for the instances alone.
   *
   * @returns until when requests are waited for, ms since the epoch
   */
  async #drain({ record, step, waits, ends }: Group): Promise<number> {
    const { clock } = this.#options.ports;
    const { set } = step;
    const drainUntilMs = step.drainUntilMs ?? 0;
    // Its time counts from when nothing new comes to it, however long the router took for that.
    if (waits === "all") {
      const ownMs = record.sets.get(set)?.content.settings.drainMs ?? 0;
      return Math.max(drainUntilMs, (this.#routing.leftAtMs(set) ?? 0) + ownMs);
    }
    const ownMs = Math.max(0, drainUntilMs - clock.now());
    await this.#routing.drain(
      set,
      ends.map(({ instance }) => instance),
    );
    return Math.max(drainUntilMs, clock.now() + ownMs);
  }

  /** Those that may go now: they have no requests, have ended, or their time is over. */
  async #free({ step, waits }: Group, ends: readonly End[], untilMs: number): Promise<readonly End[]> {
    const { ports, fleet } = this.#options;
    const isGone = ({ instance }: End): boolean => fleet.get(instance)?.phase !== "running";
    if (ports.clock.now() >= untilMs || ends.every(isGone)) return ends;
    // No answer is not "nothing in flight": then the deadline decides.
    const open = await ports.router.inFlight(step.set).catch(() => undefined);
    const mayGo = open !== undefined && (waits === "own" || [...open.values()].every((count) => count === 0));
    return ends.filter((end) => isGone(end) || (mayGo && open.get(end.instance) === 0));
  }

  async #cut(group: Group, ends: readonly End[]): Promise<void> {
    const instances = ends.map(({ instance }) => instance);
    await this.#options.ports.router.cut(group.step.set, instances).catch(() => {});
    await this.#remove(group, ends);
  }

  async #remove(group: Group, ends: readonly End[]): Promise<void> {
    const { recorder, ports, fleet, signal, tellNames } = this.#options;
    const { record, step } = group;
    const { app, environment } = record;
    const instances = ends.map(({ instance }) => instance);
    let isEnded = false;
    try {
      // Who asks for it by name must not be sent to one that ends.
      if (step.drainUntilMs !== null) await tellNames(record);
      await ports.runtime.remove(instances, this.#graceOf(group), signal);
      isEnded = true;
      if (!signal.aborted) {
        for (const instance of instances) fleet.forget(instance);
        if (group.process !== undefined)
          recorder.append(
            ...instances.map((instance) => ({ kind: "instance.removed", app, environment, instance }) as const),
          );
      }
      for (const { resolve } of ends) resolve();
    } catch (error) {
      // What keeps one of them keeps none of the others: they are tried again by themselves.
      if (!isEnded && ends.length > 1 && !signal.aborted) for (const end of ends) void this.#remove(group, [end]);
      else for (const { reject } of ends) reject(error);
    }
  }

  /**
   * Time from SIGTERM to SIGKILL. Who has no route cannot be drained by the router: it finishes what it has by itself. A
   * worker has its drain and no more: another content's works already.
   */
  #graceOf({ record, step: { set, drainUntilMs }, process }: Group): number {
    if (drainUntilMs === null) return 0;
    const leftMs = Math.max(0, drainUntilMs - this.#options.ports.clock.now());
    if (process !== undefined && isWorker(process)) return leftMs;
    return isRouted(record, set) ? graceMs : Math.max(graceMs, leftMs);
  }
}
