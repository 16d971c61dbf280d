import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import type { SetName } from "../model/names.ts";
import { analysisDemand, type AnalysisView } from "../rollout/plan-analysis.ts";
import { baselineWindowMs, type TrafficShare } from "../rollout/watch.ts";
import { AnalysisRun } from "./analysis-run.ts";
import type { ControllerPorts } from "./ports.ts";

export interface AnalysisKeeperOptions {
  readonly ports: Pick<ControllerPorts, "router" | "clock" | "metrics">;
  /** Requests of a set in the stretch before now. */
  readonly share: (set: SetName, stretchMs: number) => TrafficShare;
  /** Instances of a set that may answer. */
  readonly usable: (set: SetName) => number;
  readonly onMeasured: (key: string) => void;
}

/** Measures what the rollout of each environment asks for, and nothing else. */
export class AnalysisKeeper {
  readonly #options: AnalysisKeeperOptions;
  readonly #runs = new Map<string, AnalysisRun>();

  constructor(options: AnalysisKeeperOptions) {
    this.#options = options;
  }

  /** Begins what is to be measured and ends what is not any more. @returns what was measured so far */
  look(record: EnvironmentRecord): AnalysisView | undefined {
    const key = environmentKey(record.app, record.environment);
    const run = this.#runs.get(key);
    if (record.active === null && run === undefined) return undefined;
    const demand = analysisDemand(record);
    if (run !== undefined && run.key === demand?.key) return run.view();
    run?.stop();
    this.#runs.delete(key);
    if (demand === undefined || record.live === null) return undefined;
    const { ports, share, usable, onMeasured } = this.#options;
    const { release, set } = record.live;
    const baseline = { release, recent: share(set, baselineWindowMs), usable: usable(set) };
    const begun = new AnalysisRun({ ports, record, demand, baseline, onMeasured: () => onMeasured(key) });
    this.#runs.set(key, begun);
    return begun.view();
  }

  stop(): void {
    for (const run of this.#runs.values()) run.stop();
    this.#runs.clear();
  }
}
