import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import { webProcess, type AppName, type InstanceName } from "../model/names.ts";
import type { InstanceView } from "./view.ts";
import { isUsable } from "./ready.ts";
import { positionIn } from "./sorted.ts";

/** Who of an app is asked by its name: those of the first kind of which there is one. */
const kinds = ["staying", "usable", "served"] as const;
type Kind = (typeof kinds)[number];

interface Asked {
  readonly kind: Kind;
  readonly address: string;
}

/**
 * What an app's name stands for inside its environment: the addresses of its live instances that can be used, and of those
 * that share its requests while a rollout goes a few at a time. Where none can be used, those that served before: a wrong
 * answer is better than none, as with the router. Kept from look to look, so that a change costs as much as has changed.
 */
export class AppNames {
  readonly #asked = new Map<InstanceName, Asked>();
  /** Addresses by kind; sorted. */
  #addresses = noAddresses();
  #told: readonly string[] | null = null;

  /** Sorted; the same list for as long as nothing has changed. */
  get addresses(): readonly string[] {
    if (this.#told !== null) return this.#told;
    const chosen = kinds.find((kind) => this.#addresses[kind].length > 0) ?? "staying";
    this.#told = [...this.#addresses[chosen]];
    return this.#told;
  }

  /** Looks at all anew. @param instances those of the record */
  renew(record: EnvironmentRecord, instances: readonly InstanceView[]): void {
    const before = this.#told;
    this.#asked.clear();
    this.#addresses = noAddresses();
    for (const instance of instances) {
      const asked = askedOf(record, instance);
      if (asked === undefined) continue;
      this.#asked.set(instance.name, asked);
      this.#addresses[asked.kind].push(asked.address);
    }
    for (const kind of kinds) this.#addresses[kind].sort();
    this.#told = null;
    const { addresses } = this;
    if (before?.length === addresses.length && before.every((one, index) => one === addresses[index]))
      this.#told = before;
  }

  /** Looks at one anew. @param instance undefined: it is gone */
  change(record: EnvironmentRecord, name: InstanceName, instance: InstanceView | undefined): void {
    const before = this.#asked.get(name);
    const now = instance === undefined ? undefined : askedOf(record, instance);
    if (before?.kind === now?.kind && before?.address === now?.address) return;
    // Two may have one address for a moment, when one that has ended is not known to yet.
    if (before !== undefined) this.#splice(before, 1);
    if (now === undefined) this.#asked.delete(name);
    else {
      this.#asked.set(name, now);
      this.#splice(now, 0, now.address);
    }
  }

  #splice({ kind, address }: Asked, remove: 0 | 1, ...add: readonly string[]): void {
    this.#addresses[kind].splice(positionIn(this.#addresses[kind], address), remove, ...add);
    const better = kinds.slice(0, kinds.indexOf(kind));
    if (better.every((one) => this.#addresses[one].length === 0)) this.#told = null;
  }
}

function noAddresses(): Readonly<Record<Kind, string[]>> {
  return { staying: [], usable: [], served: [] };
}

function askedOf({ app, live, sets }: EnvironmentRecord, instance: InstanceView): Asked | undefined {
  const { name, address, phase, process } = instance;
  const set = live === null ? undefined : sets.get(live.set);
  if (set === undefined || !isListed(app) || phase !== "running" || process !== webProcess || address === null)
    return undefined;
  const own = instance.set === set.name ? set : sets.get(instance.set);
  if (own === undefined || (own !== set && !(sharesRequests(own) && own.proven.has(name)))) return undefined;
  if (isUsable(instance)) return { kind: own.condemned.has(name) ? "usable" : "staying", address };
  return set.proven.has(name) ? { kind: "served", address } : undefined;
}

/** Whether a set serves beside what is live, instance by instance. */
export function sharesRequests({ role, count }: SetRecord): boolean {
  return role === "leaving" || (role === "next" && count !== null);
}

/** Apps of which a live instance can be used. @param records all of one environment */
export function servingApps(
  records: readonly EnvironmentRecord[],
  instances: readonly InstanceView[],
): ReadonlySet<AppName> {
  const usable = new Set(instances.filter((one) => one.process === webProcess && isUsable(one)).map(({ set }) => set));
  return new Set(records.flatMap(({ app, live }) => (live !== null && usable.has(live.set) ? app : [])));
}

/** What every instance calls itself is no app's. */
function isListed(app: AppName): boolean {
  return !unlisted.has(app);
}

const unlisted: ReadonlySet<string> = new Set(["localhost", "ip6-localhost", "ip6-loopback"]);
