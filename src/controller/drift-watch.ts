import { compareObservation } from "../drift/compare.ts";
import { asOperatorError } from "../errors/operator-error.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import type { InstanceName, SetName } from "../model/names.ts";
import type { Fleet } from "./fleet.ts";
import type { ControllerPorts, Log } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import { hideSecrets } from "./secret-values.ts";
import { sleep } from "./sleep.ts";

/** How often each instance is held against its content, in ms. */
const intervalMs = 1_000;
/** Longest time that is looked without a pause, in ms: what is asked for meanwhile waits for no more. */
const sliceMs = 0.1;
/** Length of a pause, in ms. */
const pauseMs = 2;

export interface DriftWatchOptions {
  readonly ports: ControllerPorts;
  readonly fleet: Fleet;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly recordOf: (set: SetName) => EnvironmentRecord | undefined;
  readonly onFound: (record: EnvironmentRecord) => void;
}

/** Holds each running instance against its content; one that differs is recorded and replaced, never mended. */
export class DriftWatch {
  readonly #options: DriftWatchOptions;
  #looking = false;

  constructor(options: DriftWatchOptions) {
    this.#options = options;
  }

  start(every: (ms: number, callback: () => void) => void): void {
    every(intervalMs, () => void this.look());
  }

  /** One look at all instances, one after the other. */
  async look(): Promise<void> {
    const { fleet, ports, signal } = this.#options;
    if (this.#looking) return;
    this.#looking = true;
    let sinceMs = ports.clock.monotonic();
    try {
      for (const { name, set, phase, health } of fleet.all()) {
        if (signal.aborted) return;
        if (phase !== "running" || health.state === "starting") continue;
        try {
          const inspected = await ports.runtime.inspect(name);
          const findings = inspected === null ? null : compareObservation(inspected.expected, inspected.observed);
          // Nearly always nothing differs, and nothing did before.
          if (findings !== null && (findings.length > 0 || this.#driftOf(name).length > 0))
            await this.#found(name, set, findings);
        } catch (error) {
          this.#warn(name, error);
        }
        if (ports.clock.monotonic() - sinceMs < sliceMs) continue;
        // A flip that is asked for meanwhile goes first.
        await sleep(ports.clock, pauseMs, signal);
        sinceMs = ports.clock.monotonic();
      }
    } finally {
      this.#looking = false;
    }
  }

  #warn(instance: InstanceName, error: unknown): void {
    const { signal, log } = this.#options;
    if (!signal.aborted) log("warn", "cannot look for drift", { instance, error: asOperatorError(error) });
  }

  #driftOf(name: InstanceName): readonly string[] {
    return this.#options.fleet.get(name)?.drift ?? [];
  }

  /** Arguments may hold what a script put there. */
  async #withoutSecrets(setName: SetName, findings: readonly string[]): Promise<readonly string[]> {
    const { ports, recordOf } = this.#options;
    const record = recordOf(setName);
    const set = record?.sets.get(setName);
    if (findings.length === 0 || record === undefined || set === undefined) return findings;
    return (await hideSecrets(ports, record, set.content))(findings);
  }

  /** @param found in what it differs; nothing: not any more */
  async #found(name: InstanceName, setName: SetName, found: readonly string[]): Promise<void> {
    const { fleet, recorder, recordOf, onFound } = this.#options;
    const findings = await this.#withoutSecrets(setName, found);
    fleet.setDrift(name, findings);
    const record = recordOf(setName);
    const set = record?.sets.get(setName);
    if (findings.length === 0 || record === undefined || set === undefined) return;
    if (set.role === "ending" || set.condemned.has(name)) return;
    const { app, environment } = record;
    recorder.append(
      { kind: "drift.found", app, environment, instance: name, type: "modified", findings },
      {
        kind: "instance.condemned",
        app,
        environment,
        instance: name,
        type: "drift",
        reason: `it drifted: ${findings[0] ?? ""}`,
      },
    );
    onFound(record);
  }
}
