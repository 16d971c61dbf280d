/** One measured figure, as `--json` prints it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly runs: number;
  /** What it is held against, measured in the same go. */
  readonly versus?: { readonly name: string; readonly value: number };
  /** Ours over theirs. */
  readonly ratio?: number;
  /** What it has to reach. */
  readonly goal?: Goal;
}

export type Goal = { readonly atMost: number } | { readonly atLeast: number };

/** Whether a figure has a goal and does not reach it. */
export function isMissed({ value, goal }: Figure): boolean {
  if (goal === undefined) return false;
  return "atMost" in goal ? !(value <= goal.atMost) : !(value >= goal.atLeast);
}

function goalText(goal: Goal | undefined): string {
  if (goal === undefined) return "";
  return "atMost" in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`;
}

/** What a bench gives back; `rows` are for people only. */
export interface BenchResult {
  readonly figures: readonly Figure[];
  /** Further lines for the table: per kind, spread, what was not reached. */
  readonly notes?: readonly string[];
  /** What was measured is not what it was meant to be (too few requests in flight, wrong answers): exit status 1. */
  readonly failed?: boolean;
}

export interface BenchOptions {
  /** How often each thing is measured; absent: as often as the bench says. */
  readonly runs: number | undefined;
  /** Which parts of the bench to run; absent: all. */
  readonly parts?: readonly string[];
  /** Says what is being done; goes to standard error. */
  readonly say: (text: string) => void;
}

export type Bench = (options: BenchOptions) => Promise<BenchResult>;

/** Nearest-rank percentile. @throws {RangeError} of none */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
  if (value === undefined) throw new RangeError("no values to take a percentile of");
  return value;
}

/** A figure of the p-th percentile, held against the same percentile of what others measured. */
export function figure(
  name: string,
  unit: string,
  share: number,
  values: readonly number[],
  versus?: { name: string; values: readonly number[] },
): Figure {
  const value = round(percentile(values, share));
  if (versus === undefined) return { name, value, unit, runs: values.length };
  const theirs = round(percentile(versus.values, share));
  return {
    name,
    value,
    unit,
    runs: values.length,
    versus: { name: versus.name, value: theirs },
    ratio: round(value / theirs),
  };
}

export function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** The figures as lines for people. */
export function renderFigures(bench: string, result: BenchResult): string {
  const rows = [["figure", "value", "unit", "runs", "versus", "ratio", "goal"]];
  for (const row of result.figures) {
    const { name, value, unit, runs, versus, ratio, goal } = row;
    rows.push([
      name,
      String(value),
      unit,
      String(runs),
      versus === undefined ? "" : `${versus.name} ${versus.value}`,
      ratio === undefined ? "" : String(ratio),
      `${goalText(goal)}${isMissed(row) ? " missed" : ""}`,
    ]);
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
  );
  return [`bench ${bench}`, ...lines, ...(result.notes ?? []).map((note) => `  ${note}`)].join("\n");
}
