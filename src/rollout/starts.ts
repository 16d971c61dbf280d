import { crashesOf } from "../ledger/crashes.ts";
import type { SetRecord } from "../ledger/state.ts";
import type { ProcessName } from "../model/names.ts";

const crashDelaysMs = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000] as const;

/** When a process of a set may start its next instance: at once after a first exit, then after 1, 2, 4 … 60 s. */
export function earliestStartMs(set: SetRecord, process: ProcessName): number {
  const { count, atMs } = crashesOf(set, process);
  if (count === 0) return 0;
  return atMs + (crashDelaysMs[Math.min(count - 1, crashDelaysMs.length - 1)] ?? 60_000);
}
