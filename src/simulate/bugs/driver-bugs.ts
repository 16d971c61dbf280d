import type { LedgerEvent, NewEvent } from "../../ledger/event.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Drivers } from "../daemons.ts";
import type { Bug } from "./bug.ts";

/** Bugs of what acts. */
export const driverBugs: readonly Bug[] = [
  {
    name: "early-acknowledgement",
    what: "the journal says that events are on disk a moment before they are",
    breaks: "nothing-forgotten",
    seed: 1,
    changes: {
      drivers(drivers, stage) {
        const { journal, clock } = drivers;
        let held: NewEvent[] = [];
        let head = [...journal.read()].at(-1);
        const write = (): void => {
          const events = held;
          held = [];
          if (stage.life?.number !== life) return;
          journal.fill(false);
          journal.append(events);
        };
        const life = stage.life?.number;
        const append = (events: readonly NewEvent[]): readonly LedgerEvent[] => {
          if (held.length === 0) clock.after(3, write);
          held.push(...events);
          return events.map((event) => {
            const seq: number = (head?.seq ?? 0) + 1;
            head = { ...event, seq, prev: head?.hash ?? ("" as Digest), hash: `sha256:${seq}` as Digest };
            return head;
          });
        };
        return { ...drivers, journal: { ...journal, append, appendIntent: append } } satisfies Drivers;
      },
    },
  },
  {
    name: "wrong-content",
    what: "a rollback whose content runs no more starts instances of what is live",
    breaks: "rollback-target",
    seed: 1,
    changes: {
      drivers: (drivers, stage) => ({
        ...drivers,
        runtime: {
          ...drivers.runtime,
          ensure(set, wanted, signal) {
            const { record } = stage;
            const live = stage.live === null ? undefined : record?.releases.get(stage.live.release);
            const isRollback = record?.releases.get(set.release)?.type === "rollback";
            const { digest, content } = isRollback && live !== undefined ? live : set;
            return drivers.runtime.ensure({ ...set, digest, content }, wanted, signal);
          },
        },
      }),
    },
  },
  {
    name: "lost-removal",
    what: "an instance that does not end at once is taken for ended",
    breaks: "nothing-leaks",
    seed: 6,
    changes: {
      drivers: (drivers, stage) => ({
        ...drivers,
        runtime: {
          ...drivers.runtime,
          async remove(names, graceMs, signal) {
            const prompt = names.filter((name) => {
              const there = stage.machine.instance(name);
              return there === undefined || stage.traits(there).endsOnTerm;
            });
            await drivers.runtime.remove(prompt, graceMs, signal);
          },
        },
      }),
    },
  },
  {
    name: "no-answer",
    what: "a change of the router whose answer is lost is waited for without end",
    breaks: "at-rest",
    seed: 11,
    changes: {
      drivers: (drivers) => {
        let count = 0;
        return {
          ...drivers,
          router: {
            ...drivers.router,
            place(set, signal) {
              count += 1;
              return count % 25 === 24 ? new Promise<never>(() => {}) : drivers.router.place(set, signal);
            },
          },
        };
      },
    },
  },
  {
    name: "bare-error",
    what: "a full disk is told as the system tells it, in no words for people",
    breaks: "answers-true",
    seed: 1,
    changes: {
      drivers: (drivers) => ({
        ...drivers,
        journal: {
          ...drivers.journal,
          append(events) {
            try {
              return drivers.journal.append(events);
            } catch {
              throw new Error("ENOSPC: no space left on device, write");
            }
          },
        },
      }),
    },
  },
];
