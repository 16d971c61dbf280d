import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import type { Places } from "../../model/places.ts";
import type { Clock } from "../../ports/clock.ts";
import type { RoutedSet, Router, RouterBeginning, RouteRule } from "../../ports/router.ts";
import { ask } from "./admin.ts";
import { renderConfig } from "./config.ts";
import { writeDurable } from "./durable.ts";
import { QuickFile } from "./quick-file.ts";
import { guardSupervisor } from "./guard.ts";
import { holdScript } from "./hold.ts";
import { layoutOf } from "./layout.ts";
import { openReceiver, type LogReceiver } from "./receiver.ts";
import {
  assignSlots,
  emptyRecord,
  parseRecord,
  recordAtStart,
  takeOut,
  type PlacedSet,
  type PoolRecord,
} from "./record.ts";
import { parseRequestLine, TrafficFold } from "./request-log.ts";
import { decodeRule, encodeRule, parseRoutes, renderRoutes, routeKey } from "./routes.ts";
import { slotCommands } from "./slots.ts";
import { endSupervisor, findSupervisor, startSupervisor, type StartedSupervisor } from "./supervisor.ts";
import {
  parseOldWorkers,
  parseServersState,
  parseSessions,
  parseShownMap,
  parseStreams,
  type ServerState,
} from "./tables.ts";

export interface HaproxyRouterOptions {
  readonly places: Places;
  /** Port 0 takes a free one and keeps it from then on. */
  readonly bind: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** The pool grew or the log's port changed, by a seamless reload. */
  readonly onReload?: (reason: string) => void;
  /** Lines of the request log were lost: the counts until now prove nothing. */
  readonly onGap?: (reason: string) => void;
  /** A part of the router died and is back. */
  readonly onMended?: (what: string) => void;
}

/** A router with what only the daemon needs. */
export interface HaproxyRouter extends Router {
  /** Lets go of the router, which runs on: for a daemon that ends. */
  detach(): Promise<void>;
}

const patienceMs = 10_000;
const retryMs = 20;
const commandsPerLine = 20;

/** The router port on HAProxy. `start` comes first; changes are made one after the other. */
export function createHaproxyRouter(options: HaproxyRouterOptions): HaproxyRouter {
  const { places, bind, clock } = options;
  const layout = layoutOf(places);
  const fold = new TrafficFold(randomUUID(), options.onGap);
  let record: PoolRecord = emptyRecord;
  let routes = new Map<string, string>();
  const routesFile = new QuickFile(layout.routes);
  let receiver: LogReceiver | undefined;
  let stopChecking: () => void = () => {};
  let stopGuarding: () => void = () => {};
  let running = false;
  const workers = new Set<number>();
  let starting = true;
  let turn: Promise<unknown> = Promise.resolve();

  /** Runs changes one after the other. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = turn.then(change);
    turn = result.catch(() => {});
    return result;
  }

  const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));

  /** Repeats until it comes through: HAProxy may be on its way back from a crash. */
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

  const admin = (command: string): Promise<string> => ask(layout.admin, command);

  async function workerPid(): Promise<number> {
    const pid = /^Pid: ([0-9]+)$/m.exec(await admin("show info"))?.[1];
    if (pid === undefined)
      throw new OperatorError("ROUTER_FAILED", "Cannot tell which process routes: no pid in its answer", {
        hint: "see router.log in the log folder",
      });
    return Number(pid);
  }

  /** Workers that a reload replaced and that still have something open. */
  async function oldWorkers(): Promise<number[]> {
    return parseOldWorkers(await ask(layout.master, "show proc;quit"));
  }

  function save(next: PoolRecord): void {
    keep(layout.record, JSON.stringify(next));
    keep(layout.config, renderConfig(next, layout, bind.host));
    record = next;
  }

  /** What stands there already needs no room: a daemon must come up on a full disk. */
  function keep(path: string, text: string): void {
    const there = existsSync(path) ? readFileSync(path, "utf8") : undefined;
    if (there !== text) writeDurable(path, text);
  }

  function onDatagram(bytes: Buffer): void {
    const line = parseRequestLine(bytes);
    if (line === undefined) return;
    const now = clock.monotonic();
    if (!workers.has(line.pid)) {
      workers.add(line.pid);
      if (!starting)
        fold.gap(
          `HAProxy was started again as process ${line.pid}: what its predecessor had open was never logged`,
          now,
        );
    }
    fold.add(line, now);
  }

  function checkLog(): void {
    fold.check(clock.monotonic());
    stopChecking = clock.after(1_000, checkLog);
  }

  /** Seamless: a new worker takes over the sockets, the old one finishes what it has. */
  async function reload(reason: string): Promise<void> {
    starting = true;
    try {
      const before = await insist(workerPid);
      const answer = await ask(layout.control, "reload");
      if (!answer.startsWith("ok"))
        throw new OperatorError("ROUTER_FAILED", `Cannot reload the router: ${answer.trim()}`, {
          hint: "see router.log in the log folder",
        });
      await insist(async () => {
        const now = await workerPid();
        if (now === before)
          throw new OperatorError("ROUTER_FAILED", "Cannot reload the router: no new worker came up", {
            hint: "see router.log in the log folder",
          });
        workers.add(now);
      });
    } finally {
      starting = false;
    }
    options.onReload?.(reason);
  }

  async function serversOf(backend: string | null): Promise<Map<string, ServerState>> {
    const text = await admin(backend === null ? "show servers state" : `show servers state ${backend}`);
    return new Map(parseServersState(text).map((state) => [`${state.backend}/${state.server}`, state]));
  }

  /** Brings a backend's servers to what the record says, and reads back that they are. */
  async function applyBackend(backend: number, placed: PlacedSet | undefined, signal?: AbortSignal): Promise<void> {
    await insist(async () => {
      for (let attempt = 0; ; attempt += 1) {
        const commands = slotCommands(`b${backend}`, placed?.slots ?? [], await serversOf(`b${backend}`));
        if (commands.length === 0) return;
        if (attempt === 3) {
          throw new OperatorError(
            "ROUTER_FAILED",
            `Cannot place ${placed?.set ?? "nothing"} in backend b${backend}: it still needs "${commands[0] ?? ""}"`,
            {
              hint: "see router.log in the log folder",
            },
          );
        }
        for (let from = 0; from < commands.length; from += commandsPerLine)
          await admin(commands.slice(from, from + commandsPerLine).join(";"));
      }
    }, signal);
  }

  async function applyRoute(key: string, value: string | undefined, signal?: AbortSignal): Promise<void> {
    await insist(async () => {
      if (value === undefined) {
        const answer = (await admin(`del map ${layout.routes} ${key}`)).trim();
        if (answer !== "" && !answer.includes("not found")) throw refused(answer);
        return;
      }
      let answer = (await admin(`set map ${layout.routes} ${key} ${value}`)).trim();
      if (answer.includes("not found")) answer = (await admin(`add map ${layout.routes} ${key} ${value}`)).trim();
      if (answer !== "") throw refused(answer);
    }, signal);
  }

  /** Repairs what differs between the files and the process; nothing when the last change came through. */
  async function reconcile(): Promise<void> {
    const placed = new Map(record.sets.map((set) => [set.backend, set]));
    const states = await insist(() => serversOf(null));
    for (let backend = 0; backend < record.backends; backend += 1) {
      const wanted = placed.get(backend);
      if (slotCommands(`b${backend}`, wanted?.slots ?? [], states).length > 0) await applyBackend(backend, wanted);
    }
    const shown = parseShownMap(await insist(() => admin(`show map ${layout.routes}`)));
    for (const [key, value] of routes) if (shown.get(key) !== value) await applyRoute(key, value);
    for (const key of shown.keys()) if (!routes.has(key)) await applyRoute(key, undefined);
  }

  async function start({ rules, running: instances }: RouterBeginning): Promise<void> {
    if (running) return;
    for (const folder of [layout.state, layout.run, layout.emptyFolder, places.log])
      await mkdir(folder, { recursive: true, mode: 0o755 });
    record = await readFile(layout.record, "utf8").then(parseRecord, absent(emptyRecord));
    routes = await readFile(layout.routes, "utf8").then(parseRoutes, absent(new Map<string, string>()));
    receiver = await openReceiver(record.logPort, onDatagram);

    let found = await findSupervisor(layout);
    if (found !== undefined && bind.port !== 0 && found.port !== bind.port) {
      await endSupervisor(layout);
      found = undefined;
    }
    // An HAProxy whose supervisor ended is taken over with all it knows.
    const runsOn = found !== undefined || (await workerPid().then(Boolean, () => false));
    if (!runsOn) {
      record = recordAtStart(record, instances, new Set(rules.flatMap(setsOfRule)));
      const entries = rules.map((rule) => encodeRule(rule, backendOf));
      routes = new Map(entries.map(({ key, value }) => [key, value]));
    }
    for (const placed of record.sets) fold.know(placed.set);
    writeDurable(layout.hold, holdScript);
    const wanted: PoolRecord = {
      ...record,
      logPort: receiver.port,
      webPort: found?.port ?? (bind.port === 0 ? record.webPort : bind.port),
    };
    const configBefore = await readFile(layout.config, "utf8").catch(absent(""));
    if (found === undefined) keep(layout.routes, renderRoutes(routes));
    save(wanted);
    let adopted = true;
    if (found === undefined) ({ adopted } = await freshSupervisor(wanted));
    await insist(workerPid);
    if (adopted && renderConfig(wanted, layout, bind.host) !== configBefore)
      await reload("the configuration differs from the one that runs");
    await reconcile();
    workers.add(await insist(workerPid));
    for (const pid of await insist(oldWorkers)) workers.add(pid);
    starting = false;
    running = true;
    checkLog();
    stopGuarding = guardSupervisor({
      layout,
      clock,
      onRestart: (pid) =>
        void inTurn(reconcile).then(
          () => options.onMended?.(`HAProxy ended and was started again as process ${pid}`),
          // The guard's next word or the next change tells of what is wrong.
          () => {},
        ),
      onLost: () => inTurn(bringBack),
    });
  }

  /** Replaces a supervisor that ended. HAProxy goes on meanwhile and is taken over with its listening socket. */
  async function bringBack(): Promise<void> {
    if (!running || (await findSupervisor(layout)) !== undefined) return;
    const { adopted } = await freshSupervisor(record);
    await insist(workerPid);
    await reconcile();
    options.onMended?.(
      adopted
        ? "the router's supervisor ended; a new one took over HAProxy, which went on"
        : "the router's supervisor and HAProxy ended; both were started again",
    );
  }

  async function freshSupervisor(wanted: PoolRecord): Promise<StartedSupervisor> {
    const started = await startSupervisor(layout, { host: bind.host, port: wanted.webPort }).catch((cause: unknown) => {
      const refusedPort = cause instanceof OperatorError && cause.code === "MACHINE_REFUSED";
      // A port that was ours by chance may be another's after a reboot.
      if (bind.port !== 0 || wanted.webPort === 0 || !refusedPort) throw cause;
      return startSupervisor(layout, { host: bind.host, port: 0 });
    });
    if (started.port !== wanted.webPort) save({ ...wanted, webPort: started.port });
    return started;
  }

  const backendOf = (set: SetName): number | undefined => record.sets.find((placed) => placed.set === set)?.backend;

  async function place(set: RoutedSet, signal: AbortSignal): Promise<void> {
    const before = record;
    const next = assignSlots(before, set);
    const had = before.sets.find((placed) => placed.set === set.set);
    const has = next.sets.find((placed) => placed.set === set.set);
    const target = has ?? had;
    if (target === undefined) return;
    if (has === undefined && [...routes.values()].some((value) => setsOf(value).includes(set.set))) {
      throw new OperatorError(
        "ROUTER_FAILED",
        `Cannot free the place of "${set.set}": a route still leads to it, it must be routed away first`,
        {
          hint: "this is a fault of Bronze itself; report it",
        },
      );
    }
    save(next);
    if (has === undefined) fold.forget(set.set);
    else fold.know(set.set);
    if (next.backends !== before.backends || next.slotsEach !== before.slotsEach) {
      await reload(
        `the pool grew from ${before.backends} × ${before.slotsEach} to ${next.backends} × ${next.slotsEach}`,
      );
    }
    await applyBackend(target.backend, has, signal);
  }

  async function route(target: RouteRule["route"], rule: RouteRule | null, signal: AbortSignal): Promise<void> {
    const key = routeKey(target);
    const value = rule === null ? undefined : encodeRule({ ...rule, route: target }, backendOf).value;
    if (routes.get(key) !== value) {
      const next = new Map(routes);
      if (value === undefined) next.delete(key);
      else next.set(key, value);
      // A flip waits for this. HAProxy needs the file only when it alone is started again, which no power cut is: after
      // that the ledger says what answers a route, and `start` writes the file anew.
      routesFile.replace(renderRoutes(next));
      routes = next;
    }
    await applyRoute(key, value, signal);
  }

  async function inFlight(set: SetName): Promise<ReadonlyMap<InstanceName, number>> {
    const placed = record.sets.find((candidate) => candidate.set === set);
    const result = new Map<InstanceName, number>();
    if (placed === undefined) return result;
    await insist(async () => {
      const current = parseSessions(await admin(`show stat b${placed.backend} 4 -1`));
      const old: ReturnType<typeof parseSessions> = [];
      for (const pid of await oldWorkers())
        old.push(...parseSessions(await ask(layout.master, `@!${pid} show stat -1 4 -1;quit`)));
      for (const slot of placed.slots) {
        const mine = current.find((sessions) => sessions.server === `s${slot.slot}`);
        if (mine === undefined) throw refused(`no statistics of b${placed.backend}/s${slot.slot}`);
        const elsewhere = old
          .filter((sessions) => sessions.address === `${slot.address}:${slot.port}`)
          .reduce((sum, sessions) => sum + sessions.current, 0);
        result.set(slot.instance, mine.current + elsewhere);
      }
    });
    return result;
  }

  async function takeOutOf(set: SetName, instances: readonly InstanceName[], cutting: boolean): Promise<void> {
    const placed = record.sets.find((candidate) => candidate.set === set);
    const slots = placed?.slots.filter((slot) => instances.includes(slot.instance)) ?? [];
    if (placed === undefined || slots.length === 0) return;
    if (slots.some((slot) => !slot.out)) save(takeOut(record, set, instances));
    for (const slot of slots) {
      const server = `b${placed.backend}/s${slot.slot}`;
      await insist(() =>
        admin(
          cutting
            ? `set server ${server} state maint;shutdown sessions server ${server}`
            : `set server ${server} state drain`,
        ),
      );
    }
    if (!cutting) return;
    const addresses = new Set(slots.map((slot) => `${slot.address}:${slot.port}`));
    for (const pid of await insist(oldWorkers)) {
      const open = parseSessions(await ask(layout.master, `@!${pid} show stat -1 4 -1;quit`)).filter(
        ({ address, current }) => current > 0 && addresses.has(address),
      );
      if (open.length === 0) continue;
      // A worker that stops refuses "shutdown sessions server": its proxies are disabled.
      const streams = parseStreams(await ask(layout.master, `@!${pid} show sess;quit`));
      for (const { id, backend, server } of streams) {
        if (open.some((sessions) => sessions.backend === backend && sessions.server === server))
          await ask(layout.master, `@!${pid} shutdown session ${id};quit`);
      }
    }
  }

  async function observe(): ReturnType<Router["observe"]> {
    const states = await insist(() => serversOf(null));
    const shown = parseShownMap(await insist(() => admin(`show map ${layout.routes}`)));
    const rules = [...shown].flatMap(([key, value]) => decodeRule({ key, value }) ?? []);
    const sets = record.sets.map((placed) => ({
      set: placed.set,
      endpoints: placed.slots.flatMap((slot) => {
        const state = states.get(`b${placed.backend}/s${slot.slot}`);
        return state !== undefined && (state.ready || slot.out)
          ? [{ instance: slot.instance, address: state.address, port: state.port }]
          : [];
      }),
    }));
    return {
      rules: rules.sort((a, b) => (routeKey(a.route) < routeKey(b.route) ? -1 : 1)),
      sets: sets.sort((a, b) => (a.set < b.set ? -1 : 1)),
    };
  }

  async function detach(): Promise<void> {
    stopChecking();
    stopGuarding();
    await receiver?.close();
    await routesFile.close();
    receiver = undefined;
    running = false;
    starting = true;
  }

  return {
    start: (beginning) => inTurn(() => start(beginning)),
    place: (set, signal) => inTurn(() => place(set, signal)),
    route: (target, rule, signal) => inTurn(() => route(target, rule, signal)),
    inFlight,
    drain: (set, instances) => inTurn(() => takeOutOf(set, instances, false)),
    cut: (set, instances) => inTurn(() => takeOutOf(set, instances, true)),
    observe: () => inTurn(observe),
    traffic: () => fold.counts(),
    address: () => ({ host: bind.host, port: record.webPort }),
    stop: () =>
      inTurn(async () => {
        await detach();
        await endSupervisor(layout);
      }),
    detach: () => inTurn(detach),
  };
}

function setsOfRule({ stable, canary }: RouteRule): SetName[] {
  return canary === undefined ? [stable] : [stable, canary.set];
}

function setsOf(value: string): string[] {
  return value.split("|").map((part) => part.split(":")[1] ?? "");
}

function refused(answer: string): OperatorError {
  return new OperatorError("ROUTER_FAILED", `Cannot change the router: it answered "${answer.slice(0, 200)}"`, {
    hint: "see router.log in the log folder",
  });
}

function absent<T>(value: T): (cause: unknown) => T {
  return (cause) => {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return value;
    throw cause;
  };
}
