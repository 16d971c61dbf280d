import { asOperatorError } from "../errors/operator-error.ts";
import { environmentKey, type EnvironmentRecord, type SetRecord } from "../ledger/state.ts";
import type { AppName, EnvironmentName, InstanceName, SetName } from "../model/names.ts";
import type { AppAddresses } from "../model/observation.ts";
import { AppNames, sharesRequests } from "../rollout/app-names.ts";
import type { Members } from "./members.ts";
import type { ControllerPorts, Log } from "./ports.ts";

export interface NameKeeperOptions {
  readonly ports: ControllerPorts;
  readonly members: (set: SetName) => Members | undefined;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** What an app's name stands for, as it was seen last. */
interface Seen {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly names: AppNames;
  /** What it stood for then; the same list as of `names` for as long as nothing has changed. */
  addresses: readonly string[];
  live: SetName | null;
  sets: readonly SeenSet[];
}

/** Who was there of a set that may be asked, and how many changes there had been of them. */
interface SeenSet {
  readonly set: SetRecord;
  readonly members: Members | undefined;
  readonly changes: number;
}

/**
 * Keeps what the names of apps stand for in each environment true: told anew whenever it changes, one change after the
 * other.
 */
export class NameKeeper {
  readonly #options: NameKeeperOptions;
  /** By app and environment. */
  readonly #seen = new Map<string, Seen>();
  /** Environments whose instances were told what was seen last, or are being told. */
  readonly #told = new Set<EnvironmentName>();
  readonly #telling = new Map<EnvironmentName, Promise<void>>();

  constructor(options: NameKeeperOptions) {
    this.#options = options;
  }

  /**
   * Looks at one app, and tells its environment when it changed. Resolves when all instances there know; a failure is
   * made up for by the next look.
   */
  look(record: EnvironmentRecord): Promise<void> {
    const { environment } = record;
    this.#see(record);
    const under = this.#telling.get(environment) ?? nobodyIsTold;
    if (this.#told.has(environment)) return under;
    this.#told.add(environment);
    const { ports, signal, log } = this.#options;
    const addresses = this.#addresses(environment);
    const telling = under
      .then(() => ports.runtime.tellNames(environment, addresses, signal))
      .catch((error: unknown) => {
        this.#told.delete(environment);
        if (!signal.aborted)
          log("warn", "cannot tell instances who is who", { environment, error: asOperatorError(error) });
      })
      .finally(() => {
        if (this.#telling.get(environment) === telling) this.#telling.delete(environment);
      });
    this.#telling.set(environment, telling);
    return telling;
  }

  /** The same for every app, as when a daemon starts: each environment is told once. */
  async lookAtAll(records: readonly EnvironmentRecord[]): Promise<void> {
    for (const record of records) this.#see(record);
    await Promise.all(records.map((record) => this.look(record)));
  }

  #see(record: EnvironmentRecord): void {
    const { app, environment } = record;
    const key = environmentKey(app, environment);
    let seen = this.#seen.get(key);
    if (seen === undefined) {
      seen = { app, environment, names: new AppNames(), addresses: [], live: null, sets: [] };
      this.#seen.set(key, seen);
    }
    this.#follow(seen, record);
    const before = seen.addresses;
    seen.addresses = seen.names.addresses;
    if (seen.addresses !== before && (seen.addresses.length > 0 || before.length > 0)) this.#told.delete(environment);
  }

  /** Looks at those that have changed, or at all where anyone may have. */
  #follow(seen: Seen, record: EnvironmentRecord): void {
    const live = record.live?.set ?? null;
    const before = seen.sets;
    let index = 0;
    let isSame = seen.live === live;
    let isQuiet = isSame;
    for (const set of record.sets.values()) {
      if (!isSame) break;
      if (!isAsked(set, live)) continue;
      const known = before[index];
      const members = this.#options.members(set.name);
      isSame = known?.set === set && known.members === members;
      isQuiet &&= isSame && known?.changes === changesOf(members);
      index += 1;
    }
    isSame &&= index === before.length;
    // Nearly always nobody came, went or changed.
    if (isQuiet && isSame) return;
    seen.live = live;
    const sets: SeenSet[] = [];
    for (const set of record.sets.values()) {
      if (!isAsked(set, live)) continue;
      const members = this.#options.members(set.name);
      sets.push({ set, members, changes: changesOf(members) });
    }
    seen.sets = sets;
    if (isSame && this.#change(seen.names, record, before)) return;
    seen.names.renew(
      record,
      sets.flatMap(({ members }) => members?.all() ?? []),
    );
  }

  /** Looks at those alone that have changed. @returns false where it is not known who has */
  #change(names: AppNames, record: EnvironmentRecord, sets: readonly SeenSet[]): boolean {
    for (const { members, changes } of sets) {
      const changed = members === undefined ? noNames : members.changedSince(changes);
      if (changed === undefined) return false;
      for (const name of changed) names.change(record, name, members?.get(name));
    }
    return true;
  }

  /** Sorted, so that equal facts give equal files. */
  #addresses(environment: EnvironmentName): readonly AppAddresses[] {
    return [...this.#seen.values()]
      .filter((seen) => seen.environment === environment && seen.addresses.length > 0)
      .map(({ app, addresses }) => ({ app, addresses }))
      .sort((a, b) => (a.app < b.app ? -1 : 1));
  }
}

/** Asked for with every plan and every end of an instance. */
const nobodyIsTold = Promise.resolve();

/** Whether instances of a set may be asked by the app's name: those of what is live, and of what serves beside it. */
function isAsked(set: SetRecord, live: SetName | null): boolean {
  return live !== null && (set.name === live || sharesRequests(set));
}

const noNames: readonly InstanceName[] = [];

function changesOf(members: Members | undefined): number {
  return members?.changes ?? 0;
}
