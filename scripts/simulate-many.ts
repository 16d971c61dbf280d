import { Worker } from "node:worker_threads";
import type { Timings } from "../src/simulate/timings.ts";

/** Seeds that a thread is given at a time. */
const taskSeeds = 20;
/** Room for objects that live briefly, of a thread; with the default much of what a run makes outlives its use. */
const youngSizeMb = 192;
/** Time between two lines that say how far it is, in ms. */
const sayEveryMs = 10_000;

export interface ManyOptions {
  readonly first: number;
  readonly last: number;
  /** Threads that run stories. */
  readonly jobs: number;
  /** Name of a bug that is put in on purpose. */
  readonly bug?: string | undefined;
  readonly timings?: Timings | undefined;
  /** Aborted: what is under way is given up. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Some seeds, to be run one after the other. */
export interface Task {
  readonly first: number;
  readonly count: number;
}

/** What came of some seeds. */
export interface Outcome {
  seeds: number;
  steps: number;
  faults: number;
  rollouts: number;
  /** Seeds of runs that had too little in them. */
  readonly short: number[];
  /** What was broken, in words that name the seed. */
  readonly broken: string[];
}

/** What came of a range of seeds. */
export interface Many extends Outcome {
  /** All seeds up to this one were run. */
  readonly upTo: number;
  readonly elapsedMs: number;
}

/** Runs the stories of a range of seeds on several threads, to the end whatever is broken; each that is broken is told at once. */
export async function simulateMany(options: ManyOptions): Promise<Many> {
  const { first, last, jobs, bug, timings, signal, say } = options;
  const sum: Outcome = { seeds: 0, steps: 0, faults: 0, rollouts: 0, short: [], broken: [] };
  const began = performance.now();
  /** First seeds of tasks that are under way. */
  const underWay = new Set<number>();
  let next = first;
  let saidAt = began;

  function add({ task, outcome }: { readonly task: Task; readonly outcome: Outcome }): void {
    underWay.delete(task.first);
    for (const name of ["seeds", "steps", "faults", "rollouts"] as const) sum[name] += outcome[name];
    sum.short.push(...outcome.short);
    sum.broken.push(...outcome.broken);
    for (const line of outcome.broken) say(line);
    const now = performance.now();
    if (now - saidAt < sayEveryMs) return;
    saidAt = now;
    const perSecond = ((sum.seeds / (now - began)) * 1_000).toFixed(1);
    say(`${sum.seeds} of ${last - first + 1} runs, ${sum.broken.length} broken, ${perSecond} a second`);
  }

  async function work(): Promise<void> {
    const worker = new Worker(new URL("./simulate-worker.ts", import.meta.url), {
      workerData: { bug, timings },
      resourceLimits: { maxYoungGenerationSizeMb: youngSizeMb },
    });
    const stop = (): void => void worker.terminate();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        const giveNext = (): void => {
          if (next > last || signal.aborted) return resolve();
          const task: Task = { first: next, count: Math.min(taskSeeds, last - next + 1) };
          underWay.add(task.first);
          next += task.count;
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
          worker.postMessage(task);
        };
        worker.on("message", (done: { readonly task: Task; readonly outcome: Outcome }) => {
          add(done);
          giveNext();
        });
        worker.on("error", reject);
        worker.on("exit", () => resolve());
        giveNext();
      });
    } finally {
      signal.removeEventListener("abort", stop);
      await worker.terminate();
    }
  }

  await Promise.all(Array.from({ length: jobs }, work));
  const upTo = Math.min(next, ...underWay) - 1;
  return { ...sum, upTo, elapsedMs: performance.now() - began };
}
