import type { EventKind } from "../../src/ledger/event.ts";
import type { KillPoint } from "./killed-daemon.ts";
import type { Kill, KillSite, Operation } from "./kills.ts";

/** What came of killing a daemon at every event of an operation. */
export interface KillsOfOperation {
  readonly operation: Operation;
  /** Events of a run without kills, each with two points. */
  readonly points: readonly KillPoint[];
  readonly kills: readonly Kill[];
  /** Points at which no daemon died: none may be. */
  readonly missed: readonly KillPoint[];
}

export interface KillOptions {
  /**
   * Events that are recorded together are killed at together: the moments before and after are the same. False: each
   * event has kills of its own all the same.
   */
  readonly together: boolean;
  readonly say: (text: string) => void;
}

/** Kills the daemon before and after every event that a run of the operation without kills records. */
export async function killAtEveryEvent(
  site: KillSite,
  operation: Operation,
  { together, say }: KillOptions,
): Promise<KillsOfOperation> {
  const kinds = await site.cleanEvents(operation);
  const points = pointsOf(kinds, operation === "deploy" ? "deploy" : "rollback");
  const kills: Kill[] = [];
  const covered = new Set<string>();
  const open = [...points];
  for (let point = open.shift(); point !== undefined; point = open.shift()) {
    const next = open.find((one) => !(together && covered.has(textOf(one))));
    const kill = await site.kill(operation, [point], next);
    kills.push(kill);
    const [report] = kill.reports;
    for (const event of report?.events ?? []) covered.add(textOf({ ...point, ...event }));
    say(`${operation}: killed ${textOf(point)}, answering again after ${Math.round(kill.restartMs)} ms`);
    while (together && open[0] !== undefined && covered.has(textOf(open[0]))) open.shift();
  }
  return { operation, points, kills, missed: points.filter((point) => !covered.has(textOf(point))) };
}

/** Two points for each event, named by kind and how many of that kind came before. */
function pointsOf(kinds: readonly EventKind[], since: KillPoint["since"]): readonly KillPoint[] {
  const counts = new Map<EventKind, number>();
  return kinds.flatMap((kind) => {
    const occurrence = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, occurrence);
    return (["before", "after"] as const).map((moment): KillPoint => ({ kind, occurrence, moment, since }));
  });
}

function textOf({ kind, occurrence, moment }: KillPoint): string {
  return `${moment} ${kind} ${occurrence}`;
}
