import { OperatorError } from "../../errors/operator-error.ts";
import type { Clock } from "../../ports/clock.ts";
import { ask } from "./admin.ts";
import type { RouterLayout } from "./layout.ts";
import type { PlacedSet } from "./record.ts";
import { slotCommands } from "./slots.ts";
import {
  parseOldWorkers,
  parseServersState,
  parseSessions,
  parseShownMap,
  parseStreams,
  type ServerState,
  type ServerSessions,
} from "./tables.ts";

/**
 * What is asked of the HAProxy that runs. Each resolves when HAProxy has done it, and is repeated for up to 10 s while it
 * does not answer: it may be on its way back from a crash.
 *
 * @throws {OperatorError} `ROUTER_FAILED`
 */
export interface Commands {
  /** Process of the worker that takes requests; asked once. */
  worker(): Promise<number>;
  /** The same, repeated until there is one. */
  workerUp(): Promise<number>;
  /** Workers that a reload replaced and that still have something open. */
  oldWorkers(): Promise<readonly number[]>;
  /** Seamless: a new worker takes over the sockets, the old one finishes what it has. @returns the new one's process */
  reload(): Promise<number>;
  /** All servers by `bN/sN`. */
  servers(): Promise<ReadonlyMap<string, ServerState>>;
  /** Brings a backend's servers to what is placed there, and reads back that they are. */
  place(backend: number, placed: PlacedSet | undefined, signal?: AbortSignal): Promise<void>;
  /** The routes it has. */
  routes(): Promise<ReadonlyMap<string, string>>;
  /** @param value undefined takes the route away */
  setRoute(key: string, value: string | undefined, signal?: AbortSignal): Promise<void>;
  /** What is open on the slots of a set, in all workers; one number a slot. */
  open(placed: PlacedSet): Promise<readonly number[]>;
  /** No new requests for these slots. */
  drain(backend: number, slots: readonly number[]): Promise<void>;
  /** No requests for these slots, and those that are open are broken off, in all workers. */
  cut(placed: PlacedSet, slots: readonly number[]): Promise<void>;
}

const patienceMs = 10_000;
const retryMs = 20;
const commandsPerLine = 20;

export function createCommands(layout: RouterLayout, clock: Clock): Commands {
  const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  const admin = (command: string): Promise<string> => ask(layout.admin, command);
  const askOld = (pid: number, command: string): Promise<string> => ask(layout.master, `@!${pid} ${command};quit`);

  async function insist<T>(what: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const deadline = clock.monotonic() + patienceMs;
    for (;;) {
      try {
        return await what();
      } catch (cause) {
        signal?.throwIfAborted();
        const final = cause instanceof OperatorError && cause.code !== "ROUTER_FAILED";
        if (final || clock.monotonic() > deadline) throw cause;
      }
      await pause(retryMs);
    }
  }

  async function worker(): Promise<number> {
    const pid = /^Pid: ([0-9]+)$/m.exec(await admin("show info"))?.[1];
    if (pid === undefined) throw failed("tell which process routes: no pid in its answer");
    return Number(pid);
  }

  const oldOnes = async (): Promise<readonly number[]> => parseOldWorkers(await ask(layout.master, "show proc;quit"));

  async function serversOf(backend: string | null): Promise<ReadonlyMap<string, ServerState>> {
    const text = await admin(backend === null ? "show servers state" : `show servers state ${backend}`);
    return new Map(parseServersState(text).map((state) => [`${state.backend}/${state.server}`, state]));
  }

  const sessionsOfOld = async (pid: number): Promise<readonly ServerSessions[]> =>
    parseSessions(await askOld(pid, "show stat -1 4 -1"));

  return {
    worker,
    workerUp: () => insist(worker),
    oldWorkers: () => insist(oldOnes),

    async reload() {
      const before = await insist(worker);
      const answer = await ask(layout.control, "reload");
      if (!answer.startsWith("ok")) throw failed(`reload the router: ${answer.trim()}`);
      return insist(async () => {
        const now = await worker();
        if (now === before) throw failed("reload the router: no new worker came up");
        return now;
      });
    },

    servers: () => insist(() => serversOf(null)),

    place: (backend, placed, signal) =>
      insist(async () => {
        for (let attempt = 0; ; attempt += 1) {
          const commands = slotCommands(`b${backend}`, placed?.slots ?? [], await serversOf(`b${backend}`));
          if (commands.length === 0) return;
          if (attempt === 3)
            throw failed(
              `place ${placed?.set ?? "nothing"} in backend b${backend}: it still needs "${commands[0] ?? ""}"`,
            );
          for (let from = 0; from < commands.length; from += commandsPerLine)
            await admin(commands.slice(from, from + commandsPerLine).join(";"));
        }
      }, signal),

    routes: async () => parseShownMap(await insist(() => admin(`show map ${layout.routes}`))),

    setRoute: (key, value, signal) =>
      insist(async () => {
        if (value === undefined) {
          const answer = (await admin(`del map ${layout.routes} ${key}`)).trim();
          if (answer !== "" && !answer.includes("not found")) throw refused(answer);
          return;
        }
        let answer = (await admin(`set map ${layout.routes} ${key} ${value}`)).trim();
        if (answer.includes("not found")) answer = (await admin(`add map ${layout.routes} ${key} ${value}`)).trim();
        if (answer !== "") throw refused(answer);
      }, signal),

    open: (placed) =>
      insist(async () => {
        const current = parseSessions(await admin(`show stat b${placed.backend} 4 -1`));
        const old: ServerSessions[] = [];
        for (const pid of await oldOnes()) old.push(...(await sessionsOfOld(pid)));
        return placed.slots.map((slot) => {
          const mine = current.find((sessions) => sessions.server === `s${slot.slot}`);
          if (mine === undefined) throw refused(`no statistics of b${placed.backend}/s${slot.slot}`);
          const elsewhere = old
            .filter((sessions) => sessions.address === `${slot.address}:${slot.port}`)
            .reduce((sum, sessions) => sum + sessions.current, 0);
          return mine.current + elsewhere;
        });
      }),

    async drain(backend, slots) {
      for (const slot of slots) await insist(() => admin(`set server b${backend}/s${slot} state drain`));
    },

    async cut(placed, slots) {
      for (const slot of slots) {
        const server = `b${placed.backend}/s${slot}`;
        await insist(() => admin(`set server ${server} state maint;shutdown sessions server ${server}`));
      }
      const addresses = new Set(
        placed.slots.filter(({ slot }) => slots.includes(slot)).map(({ address, port }) => `${address}:${port}`),
      );
      for (const pid of await insist(oldOnes)) {
        const open = (await sessionsOfOld(pid)).filter(({ address, current }) => current > 0 && addresses.has(address));
        if (open.length === 0) continue;
        // A worker that stops refuses "shutdown sessions server": its proxies are disabled.
        for (const { id, backend, server } of parseStreams(await askOld(pid, "show sess"))) {
          if (open.some((sessions) => sessions.backend === backend && sessions.server === server))
            await askOld(pid, `shutdown session ${id}`);
        }
      }
    },
  };
}

function failed(what: string): OperatorError {
  return new OperatorError(
    "ROUTER_FAILED",
    `Cannot ${what.startsWith("reload") ? what.replace("reload", "reload the router") : what}`,
    {
      hint: "see router.log in the log folder",
    },
  );
}

function refused(answer: string): OperatorError {
  return failed(`change the router: it answered "${answer.slice(0, 200)}"`);
}
