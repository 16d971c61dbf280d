import fc from "fast-check";

/** A property that is tried with many generated cases; one part of the fuzzing. */
export interface FuzzTarget {
  /** What is given garbage: one word, as `--only` names it. */
  readonly name: string;
  /** Its part of all cases. */
  readonly weight: number;
  readonly property: fc.IRawProperty<unknown>;
}

export interface FuzzOptions {
  readonly cases: number;
  readonly seed: number;
  /** The way to one failing case, as a failure prints it. */
  readonly path?: string;
}

export interface FuzzResult {
  readonly name: string;
  readonly cases: number;
  readonly ms: number;
  /** What went wrong, the shrunk case and how to replay it; undefined when nothing did. */
  readonly failure: string | undefined;
}

/** Tries a target's share of the cases. */
export async function runTarget(target: FuzzTarget, options: FuzzOptions): Promise<FuzzResult> {
  const began = performance.now();
  const details = await fc.check(target.property, {
    numRuns: options.cases,
    seed: options.seed,
    ...(options.path === undefined ? {} : { path: options.path }),
  });
  const ms = Math.round(performance.now() - began);
  if (!details.failed) return { name: target.name, cases: details.numRuns, ms, failure: undefined };
  const { counterexample, errorInstance, counterexamplePath, numShrinks } = details;
  const failure = [
    `seed ${options.seed}, shrunk ${numShrinks} times to ${fc.stringify(counterexample)}`,
    errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance),
    `replay: npm run fuzz -- --only ${target.name} --cases ${options.cases} --seed ${options.seed} --path ${counterexamplePath ?? ""}`,
  ].join("\n");
  return { name: target.name, cases: details.numRuns, ms, failure };
}

/** Each target's number of cases, by weight, at least one. */
export function shareCases(targets: readonly FuzzTarget[], cases: number): readonly number[] {
  const all = targets.reduce((sum, { weight }) => sum + weight, 0);
  return targets.map(({ weight }) => Math.max(1, Math.round((cases * weight) / all)));
}
