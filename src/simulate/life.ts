import type { ControllerPorts } from "../controller/ports.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { LedgerEvent, NewEvent } from "../ledger/event.ts";
import type { RouteRule } from "../model/observation.ts";
import type { InstanceName, ProcessName, SetName } from "../model/names.ts";
import type { MemoryJournal } from "../drivers/memory/journal.ts";
import type { ObservedInstance } from "../ports/runtime.ts";

/** Where a daemon dies: before a call comes into effect, while it does, or after. */
export type Moment = "before" | "middle" | "after";

/** What a daemon does to the world by one call. */
export type Effect =
  | {
      readonly kind: "ensure";
      readonly set: SetName;
      readonly process: ProcessName;
      readonly count: number;
      readonly ordinals: readonly number[];
    }
  | { readonly kind: "remove"; readonly instances: readonly InstanceName[]; readonly graceMs: number }
  | { readonly kind: "place"; readonly set: SetName; readonly instances: readonly InstanceName[] }
  | { readonly kind: "route"; readonly rule: RouteRule | null }
  | { readonly kind: "drain" | "cut"; readonly set: SetName; readonly instances: readonly InstanceName[] };

/** What goes wrong with one call. */
export type Trouble =
  | { readonly kind: "refused" | "lost" | "doubled" }
  | { readonly kind: "delayed"; readonly byMs: number };

/** Whether it is a step of a plan by itself; others are parts of one, which is told by an event. */
const isStep = ({ kind }: Effect): boolean => kind === "place" || kind === "route" || kind === "ensure";

/** The life of one daemon, from its start to its death. */
export interface Life {
  readonly number: number;
  /** Monotonic. */
  readonly bornAtMs: number;
  dead: boolean;
  /** Callbacks that it waits for. */
  timers: number;
}

/** What is told of a daemon's calls, and asked about them. */
export interface LifeHooks {
  /** Asked at each call that matters: whether the daemon dies there. */
  readonly dies: () => Moment | undefined;
  /** It is dead from now on. @param isHalfDone what it was doing is left half done */
  readonly died: (isHalfDone: boolean) => void;
  readonly trouble: (port: "router" | "runtime") => Trouble | undefined;
  /** It asks for this. */
  readonly issued: (effect: Effect) => void;
  readonly before: (effect: Effect) => void;
  readonly after: (effect: Effect) => void;
  /** A step of a plan came into effect, and its answer came. */
  readonly applied: () => void;
  readonly appended: (events: readonly LedgerEvent[], isIntent: boolean) => void;
  readonly acknowledged: (events: readonly LedgerEvent[], isIntent: boolean) => void;
  readonly observed: (instances: readonly ObservedInstance[]) => void;
}

/** Thrown into the code that appends as its process ends: nothing it still does reaches the world. */
export class Killed extends Error {}

type Call<Args extends readonly unknown[], Result> = (...args: Args) => Promise<Result>;

/** The ports of a daemon that may die at any call; what it calls after that never answers, and its timers are silent. */
export function portsOfLife(
  life: Life,
  world: ControllerPorts & { readonly journal: MemoryJournal },
  hooks: LifeHooks,
): ControllerPorts {
  const { clock, journal, router, runtime, prober, evidence, verifier, volumes, secrets, metrics } = world;
  // One of its own: whoever waits for it would be kept for as long as it is there.
  const never = new Promise<never>(() => {});

  /** A call that only looks, or that nothing but its caller sees. */
  function plain<Args extends readonly unknown[], Result>(call: Call<Args, Result>): Call<Args, Result> {
    return (...args) => {
      if (life.dead) return never;
      const moment = hooks.dies();
      if (moment === undefined) return call(...args);
      if (moment === "after") return dieAfter(call(...args));
      hooks.died(false);
      return never;
    };
  }

  function effective<Args extends readonly unknown[], Result>(
    port: "router" | "runtime",
    call: Call<Args, Result>,
    effectOf: ((...args: Args) => Effect) | null,
  ): Call<Args, Result> {
    const perform = (effect: Effect | null, args: Args): Promise<Result> => {
      // What waited for its turn ended with its daemon.
      if (life.dead) return never;
      if (effect === null) return call(...args);
      hooks.before(effect);
      const answer = call(...args);
      hooks.after(effect);
      if (!isStep(effect)) return answer;
      return answer.then((result) => {
        if (!life.dead) hooks.applied();
        return result;
      });
    };
    return (...args) => {
      if (life.dead) return never;
      const moment = hooks.dies();
      if (moment === "before") {
        hooks.died(false);
        return never;
      }
      const effect = effectOf === null ? null : effectOf(...args);
      if (effect !== null) hooks.issued(effect);
      if (moment === "middle") {
        perform(effect, args).catch(() => {});
        hooks.died(true);
        return never;
      }
      const act = (): Promise<Result> => perform(effect, args);
      const answer = port === "router" && effect !== null ? inTurn(() => troubled(port, act)) : troubled(port, act);
      return moment === "after" ? dieAfter(answer) : answer;
    };
  }

  /** Changes of the router are made one after the other, as by a driver: one that is slow keeps all up. */
  let last: Promise<unknown> | null = null;
  function inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const made = last === null ? change() : last.then(change, change);
    last = made;
    const forget = (): void => {
      if (last === made) last = null;
    };
    made.then(forget, forget);
    return made;
  }

  function troubled<Result>(port: "router" | "runtime", perform: () => Promise<Result>): Promise<Result> {
    const trouble = hooks.trouble(port);
    switch (trouble?.kind) {
      case undefined:
        return perform();
      case "refused":
        return Promise.reject(noAnswer(port));
      case "lost":
        return perform().then(() => Promise.reject(noAnswer(port)));
      case "doubled":
        return perform().then(perform);
      case "delayed":
        return new Promise((resolve, reject) => {
          clock.after(trouble.byMs, () => {
            if (!life.dead) perform().then(resolve, reject);
          });
        });
    }
  }

  function dieAfter(answer: Promise<unknown>): Promise<never> {
    const die = (): Promise<never> => {
      if (!life.dead) hooks.died(false);
      return never;
    };
    return answer.then(die, die);
  }

  function append(events: readonly NewEvent[], isIntent: boolean): readonly LedgerEvent[] {
    if (life.dead) throw new Killed();
    const moment = hooks.dies();
    if (moment === "before" || moment === "middle") {
      if (moment === "middle" && events.length > 0) journal.tear(events);
      hooks.died(false);
      throw new Killed();
    }
    const appended = isIntent ? journal.appendIntent(events) : journal.append(events);
    hooks.appended(appended, isIntent);
    if (moment === "after") {
      hooks.died(false);
      throw new Killed();
    }
    hooks.acknowledged(appended, isIntent);
    return appended;
  }

  return {
    machine: world.machine,
    metrics: { measure: plain((query, signal) => metrics.measure(query, signal)) },
    clock: {
      now: clock.now,
      wall: clock.wall,
      monotonic: clock.monotonic,
      after(ms, callback) {
        life.timers += 1;
        let waits = true;
        const cancel = clock.after(ms, () => {
          waits = false;
          life.timers -= 1;
          if (!life.dead) callback();
        });
        return () => {
          cancel();
          if (waits) life.timers -= 1;
          waits = false;
        };
      },
    },
    journal: {
      append: (events) => append(events, false),
      appendIntent: (events) => append(events, true),
      read: (after) => journal.read(after),
      close: () => {},
    },
    router: {
      start: effective("router", (...args) => router.start(...args), null),
      place: effective(
        "router",
        (...args) => router.place(...args),
        ({ set, endpoints }) => ({ kind: "place", set, instances: endpoints.map(({ instance }) => instance) }),
      ),
      route: effective(
        "router",
        (...args) => router.route(...args),
        (_, rule) => ({ kind: "route", rule }),
      ),
      inFlight: effective("router", (...args) => router.inFlight(...args), null),
      drain: effective(
        "router",
        (...args) => router.drain(...args),
        (set, instances) => ({ kind: "drain", set, instances }),
      ),
      cut: effective(
        "router",
        (...args) => router.cut(...args),
        (set, instances) => ({ kind: "cut", set, instances }),
      ),
      observe: effective("router", () => router.observe(), null),
      traffic: () => router.traffic(),
      address: () => router.address(),
      stop: () => router.stop(),
    },
    runtime: {
      ...runtime,
      prepare: effective("runtime", (...args) => runtime.prepare(...args), null),
      checkVolumes: plain((...args) => runtime.checkVolumes(...args)),
      ensure: effective(
        "runtime",
        (...args) => runtime.ensure(...args),
        ({ name }, { process, count, ordinals }) => ({ kind: "ensure", set: name, process, count, ordinals }),
      ),
      startTask: effective("runtime", (...args) => runtime.startTask(...args), null),
      observe: effective(
        "runtime",
        async () => {
          const instances = await runtime.observe();
          if (!life.dead) hooks.observed(instances);
          return instances;
        },
        null,
      ),
      remove: effective(
        "runtime",
        (...args) => runtime.remove(...args),
        (instances, graceMs) => ({ kind: "remove", instances, graceMs }),
      ),
      tellNames: plain((...args) => runtime.tellNames(...args)),
      confine: plain((...args) => runtime.confine(...args)),
      release: plain((...args) => runtime.release(...args)),
      onExit: (listener) => runtime.onExit((...told) => void (life.dead || listener(...told))),
      onOrphan: (listener) => runtime.onOrphan((name) => void (life.dead || listener(name))),
    },
    prober: { probe: (target, timeoutMs) => (life.dead ? never : prober.probe(target, timeoutMs)) },
    evidence: { attach: plain((...args) => evidence.attach(...args)) },
    verifier: {
      keyLog: plain(() => verifier.keyLog()),
      verify: plain((...args) => verifier.verify(...args)),
      descents: plain((...args) => verifier.descents(...args)),
      descendants: plain((...args) => verifier.descendants(...args)),
    },
    volumes: {
      ...volumes,
      list: plain(() => volumes.list()),
      ensure: plain((...args) => volumes.ensure(...args)),
      snapshot: plain((...args) => volumes.snapshot(...args)),
      remove: plain((...args) => volumes.remove(...args)),
    },
    secrets: {
      ...secrets,
      list: plain(() => secrets.list()),
      read: plain((...args) => secrets.read(...args)),
      remove: plain((...args) => secrets.remove(...args)),
      write: plain((...args) => secrets.write(...args)),
    },
  };
}

function noAnswer(port: "router" | "runtime"): OperatorError {
  const code = port === "router" ? "ROUTER_FAILED" : "RUNTIME_FAILED";
  return new OperatorError(code, `Cannot reach the ${port}: it did not answer`, { hint: "it is tried again" });
}
