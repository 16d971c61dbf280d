import { isOutdated } from "../ledger/secrets.ts";
import type { SetRecord } from "../ledger/state.ts";
import { webProcess, type InstanceName } from "../model/names.ts";
import { insertInto, removeFrom } from "../rollout/sorted.ts";
import { isPlaced, type SetView } from "../rollout/view.ts";
import type { FleetInstance } from "./fleet.ts";

/** Most changes that are remembered: after more, to look at all instances is no worse. */
const mostChanges = 256;

/** What makes an instance plain, besides the instance itself. */
export interface PlainBy {
  readonly set: SetRecord;
  /** Whether requests come to the set by the router. */
  readonly routed: boolean;
  /** Its instances that have a place; sorted. */
  readonly placed: readonly InstanceName[] | undefined;
  readonly nowMs: number;
}

/**
 * The instances of a set, without its tasks. Those about which nothing is to be done are known, so that a look at the set
 * costs as much as has changed since, and not as there is.
 */
export class Members {
  readonly #instances = new Map<InstanceName, FleetInstance>();
  /** To be looked at one by one: changed since they were plain, or never were. */
  readonly #odd = new Set<InstanceName>();
  /** The same, sorted; null: not known. */
  #oddNames: readonly InstanceName[] | null = [];
  /** Sorted. */
  readonly #names: InstanceName[] = [];
  /** All instances, in that order; null: they are to be listed anew. */
  #all: readonly FleetInstance[] | null = [];
  /** Who changed last, oldest first: the last one's is the change with the number `#changes`. */
  #changed: InstanceName[] = [];
  #view: SetView | null = null;
  #changes = 0;

  /** Grows with every change of who is there, and of how anyone is. */
  get changes(): number {
    return this.#changes;
  }

  /** Who changed, came or went since there were so many changes, some of them twice; undefined: anyone may have. */
  changedSince(changes: number): readonly InstanceName[] | undefined {
    const from = this.#changed.length - (this.#changes - changes);
    return from < 0 ? undefined : this.#changed.slice(from);
  }

  get size(): number {
    return this.#instances.size;
  }

  put(instance: FleetInstance): void {
    if (!this.#instances.has(instance.name)) insertInto(this.#names, instance.name);
    this.#instances.set(instance.name, instance);
    this.#all = null;
    this.suspect(instance.name);
  }

  remove(name: InstanceName): void {
    if (!this.#instances.delete(name)) return;
    this.#all = null;
    if (this.#odd.delete(name)) this.#oddNames = null;
    removeFrom(this.#names, name);
    this.#touch(name);
  }

  /** What was known about it may not hold any more. */
  suspect(name: InstanceName): void {
    if (!this.#instances.has(name)) return;
    if (!this.#odd.has(name)) {
      this.#odd.add(name);
      this.#oddNames = null;
    }
    this.#touch(name);
  }

  /** The same of all, though none of them has changed: what is wanted of them has. */
  suspectAll(): void {
    for (const name of this.#instances.keys()) this.#odd.add(name);
    this.#oddNames = null;
    this.#view = null;
  }

  get(name: InstanceName): FleetInstance | undefined {
    return this.#instances.get(name);
  }

  /** Sorted by name. */
  all(): readonly FleetInstance[] {
    return (this.#all ??= this.#named(this.#names));
  }

  /** What a plan sees of the set now. */
  view(by: PlainBy): SetView {
    // Of what ends nobody asks who is plain.
    if (by.set.role !== "ending") this.#settle(by);
    this.#view ??= this.#seen();
    return this.#view;
  }

  #settle(by: PlainBy): void {
    for (const name of this.#odd) {
      const instance = this.#instances.get(name);
      if (instance === undefined || !isPlain(instance, by)) continue;
      this.#odd.delete(name);
      this.#oddNames = null;
      this.#view = null;
    }
  }

  #seen(): SetView {
    const odd = this.#seenOdd();
    return new Seen(this, this.#instances.size - odd.length, odd);
  }

  #seenOdd(): readonly FleetInstance[] {
    if (this.#odd.size === 0) return none;
    if (this.#odd.size === this.#names.length) return this.all();
    this.#oddNames ??= [...this.#odd].sort();
    return this.#named(this.#oddNames);
  }

  #named(names: readonly InstanceName[]): readonly FleetInstance[] {
    const found: FleetInstance[] = [];
    for (const name of names) {
      const instance = this.#instances.get(name);
      if (instance !== undefined) found.push(instance);
    }
    return found;
  }

  #touch(name: InstanceName): void {
    this.#changes += 1;
    this.#changed.push(name);
    if (this.#changed.length > 2 * mostChanges) this.#changed = this.#changed.slice(-mostChanges);
    this.#view = null;
  }
}

/** A look at a set; all its instances are listed for those who ask. */
class Seen implements SetView {
  readonly plain: number;
  readonly odd: readonly FleetInstance[];
  readonly #members: Members;

  constructor(members: Members, plain: number, odd: readonly FleetInstance[]) {
    this.#members = members;
    this.plain = plain;
    this.odd = odd;
  }

  get all(): readonly FleetInstance[] {
    return this.#members.all();
  }
}

const none: readonly FleetInstance[] = [];

/** Whether nothing is to be done about an instance, now and for as long as nothing changes. */
function isPlain(instance: FleetInstance, { set, routed, placed, nowMs }: PlainBy): boolean {
  const { name, process, phase, address, orphaned, health } = instance;
  if (process !== webProcess || phase !== "running" || address === null || orphaned) return false;
  if (health.state !== "healthy" || health.healthySinceMs === null || health.unhealthySinceMs !== null) return false;
  if (nowMs - health.healthySinceMs < set.content.settings.minReadyMs) return false;
  if (set.condemned.has(name) || !set.proven.has(name) || isOutdated(set, instance)) return false;
  return routed ? isPlaced(placed, name) : placed === undefined || placed.length === 0;
}
