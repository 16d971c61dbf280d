import { OperatorError } from "../src/errors/operator-error.ts";
import { isMissed, type Bench, type BenchOptions, type BenchResult, type Figure } from "./lib/figures.ts";

/** What is survived, one file each in `survive/`; a part starts and stops what it needs by itself. */
const parts: Readonly<Record<string, () => Promise<Bench>>> = {
  daemon: async () => (await import("./survive/daemon.ts")).daemonKills,
  reboot: async () => (await import("./survive/reboot.ts")).rebootToServing,
  deaths: async () => (await import("./survive/deaths.ts")).deaths,
};

/** Deaths of every process and of the machine: what clients lost, and how long it took. Fails when a goal is missed. */
export async function surviveBench(options: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  const notes: string[] = [];
  let failed = false;
  for (const name of options.parts ?? Object.keys(parts)) {
    const load = Object.hasOwn(parts, name) ? parts[name] : undefined;
    if (load === undefined) {
      throw new OperatorError("USAGE", `Cannot run part "${name}" of the bench: there is none`, {
        hint: `parts are ${Object.keys(parts).join(", ")}`,
      });
    }
    const part = await (await load())(options);
    figures.push(...part.figures);
    notes.push(...(part.notes ?? []));
    failed ||= part.failed === true;
  }
  return { figures, notes, failed: failed || figures.some(isMissed) };
}
