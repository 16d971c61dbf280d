import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import { allVolumesOf, keptReleaseSnapshots, releaseSnapshot, type VolumeId } from "../model/volumes.ts";
import type { VolumeStep } from "../rollout/volumes.ts";
import { refuseLostVolumes } from "./lost-volumes.ts";
import type { ControllerPorts } from "./ports.ts";
import type { Recorder } from "./recorder.ts";

export interface VolumeRunnerOptions {
  readonly ports: ControllerPorts;
  readonly recorder: Recorder;
  readonly signal: AbortSignal;
  /** Ends the rollout that a set is made for, with what was thrown; false when none is under way. */
  readonly abort: (record: EnvironmentRecord, set: SetRecord, thrown: unknown) => boolean;
}

type StepOf<Kind extends VolumeStep["kind"]> = Extract<VolumeStep, { kind: Kind }>;

/** Carries out what is to be done about volumes; when a step resolves, its result is recorded. */
export class VolumeRunner {
  readonly #options: VolumeRunnerOptions;

  constructor(options: VolumeRunnerOptions) {
    this.#options = options;
  }

  async run(record: EnvironmentRecord, step: VolumeStep): Promise<void> {
    const { abort, signal, recorder } = this.#options;
    const over = new AbortController();
    const isOver = (): boolean => record.active !== step.release;
    const stopListening = recorder.listen(() => isOver() && over.abort());
    const next = record.sets.get(record.releases.get(step.release)?.set ?? step.set);
    try {
      if (next !== undefined)
        await refuseLostVolumes(this.#options.ports.volumes, record, allVolumesOf(next.content.settings, next));
      await (step.kind === "yield"
        ? this.#yield(record, step)
        : this.#snapshot(record, step, AbortSignal.any([signal, over.signal])));
    } catch (error) {
      if (signal.aborted || isOver()) return;
      if (next === undefined || !abort(record, next, error)) throw error;
    } finally {
      stopListening();
    }
  }

  /** Everything that can be done or refused beforehand comes before anything stops. */
  async #yield(record: EnvironmentRecord, step: StepOf<"yield">): Promise<void> {
    const { recorder, ports, signal } = this.#options;
    const { app, environment } = record;
    const content = record.releases.get(step.release)?.content;
    if (content === undefined) return;
    await ports.runtime.prepare(content.artifact, signal, environment);
    await ports.runtime.checkVolumes(content, signal);
    if (record.active !== step.release || record.live?.set !== step.set) return;
    const { release, set, volumes } = step;
    const drainMs = record.sets.get(set)?.content.settings.drainMs ?? 0;
    recorder.append({ kind: "set.yielded", app, environment, set, release, volumes, drainMs });
  }

  async #snapshot(record: EnvironmentRecord, step: StepOf<"snapshot">, signal: AbortSignal): Promise<void> {
    const { recorder, ports } = this.#options;
    const { app, environment } = record;
    const { release, volume } = step;
    const id: VolumeId = { app, environment, name: volume };
    const named = { app, environment, volume, release };
    const there = (await ports.volumes.list()).some((one) => isSame(one.id, id));
    if (!there) {
      recorder.append({ kind: "snapshot.made", ...named, snapshot: null });
      return;
    }
    const snapshot = releaseSnapshot(release);
    recorder.append({ kind: "snapshot.starting", ...named, snapshot });
    await ports.volumes.snapshot(id, snapshot, release, { signal });
    if (record.active !== release) return;
    recorder.append({ kind: "snapshot.made", ...named, snapshot });
    // One too many harms nobody, and ends no rollout: the next release looks again.
    await this.#prune(record, id).catch(() => {});
  }

  /** Releases' own snapshots would fill any disk: the oldest give way. Those that people made stay. */
  async #prune({ app, environment }: EnvironmentRecord, id: VolumeId): Promise<void> {
    const { recorder, ports } = this.#options;
    const volume = (await ports.volumes.list()).find((one) => isSame(one.id, id));
    const own = volume?.snapshots.filter(({ release }) => release !== null) ?? [];
    for (const { name } of own.slice(0, Math.max(0, own.length - keptReleaseSnapshots))) {
      await ports.volumes.remove(id, name);
      const why = `${keptReleaseSnapshots} newer ones were made before releases`;
      const cause = { who: "bronze", why };
      recorder.append({ kind: "volume.removed", app, environment, volume: id.name, snapshot: name, cause });
    }
  }
}

function isSame(a: VolumeId, b: VolumeId): boolean {
  return a.app === b.app && a.environment === b.environment && a.name === b.name;
}
