/**
 * The product's daemon with one addition: at one append to its ledger it kills itself, the way `kill -9` would. It is
 * started as `killed-daemon.ts --state DIR --point JSON`; what it was about to record, or has just recorded, goes to
 * standard output first.
 */
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { serveDaemon } from "../../src/cli/serve-daemon.ts";
import type { SqliteJournal } from "../../src/drivers/sqlite/journal.ts";
import type { EventKind, NewEvent } from "../../src/ledger/event.ts";

/** Where a daemon is killed. Points are named, not numbered through: the order of events differs between runs. */
export interface KillPoint {
  /** "any" counts events of all kinds. */
  readonly kind: EventKind | "any";
  /** 1 is the first of its kind. */
  readonly occurrence: number;
  /** Before: what the event tells has happened, or is about to, and nothing is recorded. After: it is on disk, and nothing followed. */
  readonly moment: "before" | "after";
  /** From where events are counted: the daemon's start, or the release that is made for a deploy or a rollback. */
  readonly since: "start" | "deploy" | "rollback";
}

/** What a daemon says as it dies: the events of that append, each with its occurrence. */
export interface KillReport {
  readonly events: readonly { readonly kind: EventKind; readonly occurrence: number }[];
}

function killing(journal: SqliteJournal, point: KillPoint): SqliteJournal {
  const counts = new Map<EventKind | "any", number>();
  let counting = point.since === "start";
  let release: number | undefined;

  /** Counts the events; gives the death that is due with them, if it is. */
  function deathAt(events: readonly NewEvent[]): (() => void) | undefined {
    let due = false;
    const numbered = events.flatMap(({ data }) => {
      if (!counting && data.kind === "release.created" && data.type === point.since) {
        counting = true;
        ({ release } = data);
      }
      // A measurement may be of the rollout before.
      if (!counting || (data.kind === "rollout.measured" && data.release !== (release ?? data.release))) return [];
      for (const kind of [data.kind, "any"] as const) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      const counted = point.kind === "any" ? point.kind : data.kind;
      due ||= counted === point.kind && counts.get(counted) === point.occurrence;
      return [{ kind: data.kind, occurrence: counts.get(data.kind) ?? 0 }];
    });
    if (!due) return undefined;
    return () => {
      const report: KillReport = { events: numbered };
      writeSync(1, JSON.stringify(report));
      process.kill(process.pid, "SIGKILL");
    };
  }

  function through(append: SqliteJournal["append"]): SqliteJournal["append"] {
    return (events) => {
      const die = deathAt(events);
      if (point.moment === "before") die?.();
      const appended = append(events);
      die?.();
      return appended;
    };
  }

  return { ...journal, append: through(journal.append), appendIntent: through(journal.appendIntent) };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { state: { type: "string" }, point: { type: "string" } } });
  const point = JSON.parse(values.point ?? "") as KillPoint;
  await serveDaemon({ state: values.state }, { throughJournal: (journal) => killing(journal, point) });
  process.exit(0);
}
