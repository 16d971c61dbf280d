import { asOperatorError } from "../errors/operator-error.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import type { EnvironmentName } from "../model/names.ts";
import type { AppAddresses } from "../model/observation.ts";
import { addressesOfApp } from "../rollout/app-names.ts";
import type { InstanceView } from "../rollout/view.ts";
import type { ControllerPorts, Log } from "./ports.ts";

export interface NameKeeperOptions {
  readonly ports: ControllerPorts;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Keeps what the names of apps stand for in each environment true: told anew whenever it changes, one change after the
 * other.
 */
export class NameKeeper {
  readonly #options: NameKeeperOptions;
  /** What each app's name stands for, by app and environment, as it was seen last. */
  readonly #seen = new Map<string, { readonly environment: EnvironmentName; readonly own: AppAddresses | undefined }>();
  /** Environments whose instances were told what was seen last, or are being told. */
  readonly #told = new Set<EnvironmentName>();
  readonly #telling = new Map<EnvironmentName, Promise<void>>();

  constructor(options: NameKeeperOptions) {
    this.#options = options;
  }

  /**
   * Looks at one app, and tells its environment when it changed. Resolves when all instances there know; a failure is
   * made up for by the next look.
   *
   * @param instances those of the record; null: as when it was looked at last
   */
  look(record: EnvironmentRecord, instances: readonly InstanceView[] | null): Promise<void> {
    const { environment } = record;
    if (instances !== null) this.#see(record, instances);
    const under = this.#telling.get(environment) ?? Promise.resolve();
    if (this.#told.has(environment)) return under;
    this.#told.add(environment);
    const { ports, signal, log } = this.#options;
    const addresses = this.#addresses(environment);
    const telling = under
      .then(() => ports.runtime.tellNames(environment, addresses, signal))
      .catch((error: unknown) => {
        this.#told.delete(environment);
        if (!signal.aborted)
          log("warn", "cannot tell instances who is who", { environment, error: asOperatorError(error).toJSON() });
      })
      .finally(() => {
        if (this.#telling.get(environment) === telling) this.#telling.delete(environment);
      });
    this.#telling.set(environment, telling);
    return telling;
  }

  /** The same for every app, as when a daemon starts: each environment is told once. */
  async lookAtAll(records: readonly EnvironmentRecord[], instances: readonly InstanceView[]): Promise<void> {
    const bySet = Map.groupBy(instances, ({ set }) => set);
    const all = records.map((record) => ({
      record,
      own: [...record.sets.keys()].flatMap((set) => bySet.get(set) ?? []),
    }));
    for (const { record, own } of all) this.#see(record, own);
    await Promise.all(all.map(({ record, own }) => this.look(record, own)));
  }

  #see(record: EnvironmentRecord, instances: readonly InstanceView[]): void {
    const { app, environment } = record;
    const key = environmentKey(app, environment);
    const own = addressesOfApp(record, instances);
    const before = this.#seen.get(key);
    if (before !== undefined && before.own?.addresses.join() === own?.addresses.join()) return;
    this.#seen.set(key, { environment, own });
    if (own !== undefined || before?.own !== undefined) this.#told.delete(environment);
  }

  /** Sorted, so that equal facts give equal files. */
  #addresses(environment: EnvironmentName): readonly AppAddresses[] {
    return [...this.#seen.values()]
      .flatMap((seen) => (seen.environment === environment ? (seen.own ?? []) : []))
      .sort((a, b) => (a.app < b.app ? -1 : 1));
  }
}
