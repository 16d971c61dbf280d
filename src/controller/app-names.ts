import { asOperatorError } from "../errors/operator-error.ts";
import { canonicalJson } from "../model/canonical.ts";
import type { EnvironmentName } from "../model/names.ts";
import { addressesOfApps } from "../rollout/app-names.ts";
import type { Fleet } from "./fleet.ts";
import type { ControllerPorts, Log } from "./ports.ts";
import type { Recorder } from "./recorder.ts";

export interface NameKeeperOptions {
  readonly ports: ControllerPorts;
  readonly fleet: Fleet;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Keeps what the names of apps stand for in each environment true: told anew whenever it changes, one change after the other. */
export class NameKeeper {
  readonly #options: NameKeeperOptions;
  /** What was told last, by environment; absent: not known. */
  readonly #told = new Map<EnvironmentName, string>();
  readonly #telling = new Map<EnvironmentName, Promise<void>>();

  constructor(options: NameKeeperOptions) {
    this.#options = options;
  }

  /** Tells what changed since the last look. Resolves when all instances of the environment know; a failure is tried again by the next look. */
  look(environment: EnvironmentName): Promise<void> {
    const under = this.#telling.get(environment);
    const addresses = this.#addresses(environment);
    const text = canonicalJson(addresses.map(({ app, addresses: own }) => [app, own]));
    if (this.#told.get(environment) === text) return under ?? Promise.resolve();
    this.#told.set(environment, text);
    const { ports, signal, log } = this.#options;
    const telling = (under ?? Promise.resolve())
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

  /** The same for every environment, as when a daemon starts. */
  async lookAtAll(): Promise<void> {
    const environments = [...this.#options.recorder.state.environments.values()].map(({ environment }) => environment);
    await Promise.all([...new Set(environments)].map((environment) => this.look(environment)));
  }

  #addresses(environment: EnvironmentName) {
    const { recorder, fleet } = this.#options;
    const records = [...recorder.state.environments.values()].filter((record) => record.environment === environment);
    return addressesOfApps(records, fleet.all());
  }
}
