import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import { setsOfRule } from "../../model/route-rule.ts";
import type { Places } from "../../model/places.ts";
import type { Clock } from "../../ports/clock.ts";
import type { RoutedSet, Router, RouterBeginning, RouteRule } from "../../ports/router.ts";
import { createCommands } from "./commands.ts";
import { renderConfig } from "./config.ts";
import { writeDurable } from "./durable.ts";
import { QuickFile } from "./quick-file.ts";
import { guardSupervisor } from "./guard.ts";
import { holdScript } from "./hold.ts";
import { layoutOf } from "./layout.ts";
import { openReceiver, type LogReceiver } from "./receiver.ts";
import { assignSlots, emptyRecord, parseRecord, recordAtStart, takeOut, type PoolRecord } from "./record.ts";
import { parseRequestLine, TrafficFold } from "./request-log.ts";
import { decodeRule, encodeRule, parseRoutes, renderRoutes, routeKey } from "./routes.ts";
import { slotCommands } from "./slots.ts";
import { endSupervisor, findSupervisor, startSupervisor, type StartedSupervisor } from "./supervisor.ts";

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

/** The router port on HAProxy. `start` comes first; changes are made one after the other. */
export function createHaproxyRouter(options: HaproxyRouterOptions): HaproxyRouter {
  const { places, bind, clock } = options;
  const layout = layoutOf(places);
  const commands = createCommands(layout, clock);
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

  async function reload(reason: string): Promise<void> {
    starting = true;
    try {
      workers.add(await commands.reload());
    } finally {
      starting = false;
    }
    options.onReload?.(reason);
  }

  /** Repairs what differs between the files and the process; nothing when the last change came through. */
  async function reconcile(): Promise<void> {
    const placed = new Map(record.sets.map((set) => [set.backend, set]));
    const states = await commands.servers();
    for (let backend = 0; backend < record.backends; backend += 1) {
      const wanted = placed.get(backend);
      if (slotCommands(`b${backend}`, wanted?.slots ?? [], states).length > 0) await commands.place(backend, wanted);
    }
    const shown = await commands.routes();
    for (const [key, value] of routes) if (shown.get(key) !== value) await commands.setRoute(key, value);
    for (const key of shown.keys()) if (!routes.has(key)) await commands.setRoute(key, undefined);
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
    const runsOn = found !== undefined || (await commands.worker().then(Boolean, () => false));
    if (!runsOn) {
      record = recordAtStart(record, instances, new Set(rules.flatMap(setsOfRule)));
      const entries = rules.map((rule) => encodeRule(rule, backendOf));
      routes = new Map(entries.map(({ key, value }) => [key, value]));
    }
    for (const placed of record.sets) fold.know(placed.set);
    writeDurable(layout.hold, holdScript(layout.routes));
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
    await commands.workerUp();
    if (adopted && renderConfig(wanted, layout, bind.host) !== configBefore)
      await reload("the configuration differs from the one that runs");
    await reconcile();
    workers.add(await commands.workerUp());
    for (const pid of await commands.oldWorkers()) workers.add(pid);
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
    await commands.workerUp();
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
    signal.throwIfAborted();
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
    if (has === undefined) fold.forget(set.set, clock.monotonic());
    else fold.know(set.set);
    if (next.backends !== before.backends || next.slotsEach !== before.slotsEach) {
      await reload(
        `the pool grew from ${before.backends} × ${before.slotsEach} to ${next.backends} × ${next.slotsEach}`,
      );
    }
    await commands.place(target.backend, has, signal);
  }

  async function route(target: RouteRule["route"], rule: RouteRule | null, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
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
    await commands.setRoute(key, value, signal);
  }

  async function inFlight(set: SetName): Promise<ReadonlyMap<InstanceName, number>> {
    const placed = record.sets.find((candidate) => candidate.set === set);
    const result = new Map<InstanceName, number>();
    if (placed === undefined) return result;
    const open = await commands.open(placed);
    placed.slots.forEach((slot, index) => result.set(slot.instance, open[index] ?? 0));
    return result;
  }

  async function takeOutOf(set: SetName, instances: readonly InstanceName[], cutting: boolean): Promise<void> {
    const placed = record.sets.find((candidate) => candidate.set === set);
    const slots = placed?.slots.filter((slot) => instances.includes(slot.instance)) ?? [];
    if (placed === undefined || slots.length === 0) return;
    if (slots.some((slot) => !slot.out)) save(takeOut(record, set, instances));
    const numbers = slots.map(({ slot }) => slot);
    await (cutting ? commands.cut(placed, numbers) : commands.drain(placed.backend, numbers));
  }

  async function observe(): ReturnType<Router["observe"]> {
    const states = await commands.servers();
    const shown = await commands.routes();
    const rules = [...shown].flatMap(([key, value]) => decodeRule({ key, value }) ?? []);
    const sets = record.sets.map((placed) => {
      const drained = placed.slots.filter(({ out }) => out).map(({ instance }) => instance);
      const endpoints = placed.slots.flatMap((slot) => {
        const state = states.get(`b${placed.backend}/s${slot.slot}`);
        return state !== undefined && (state.ready || slot.out)
          ? [{ instance: slot.instance, address: state.address, port: state.port }]
          : [];
      });
      return { set: placed.set, endpoints, ...(drained.length === 0 ? {} : { drained }) };
    });
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

function setsOf(value: string): string[] {
  return value.split("|").map((part) => part.split(":")[1] ?? "");
}

function absent<T>(value: T): (cause: unknown) => T {
  return (cause) => {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return value;
    throw cause;
  };
}
