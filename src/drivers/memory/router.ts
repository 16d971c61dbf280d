import type { InstanceName, SetName } from "../../model/names.ts";
import type { Route } from "../../model/content.ts";
import type { RoutedSet, Router, RouteRule, TrafficCounts } from "../../ports/router.ts";
import { OperatorError } from "../../errors/operator-error.ts";

/** A request that an instance has and has not answered yet. */
export interface OpenRequest {
  readonly set: SetName;
  readonly instance: InstanceName;
  /** False after `cut`. */
  isOpen(): boolean;
  /** The instance's answer; null: it broke off. */
  end(status: number | null, latencyMs: number): void;
}

/** What the router itself answers when it has no instance to ask. */
export interface OwnAnswer {
  readonly status: 404 | 503;
}

/** The route says that requests wait. */
export interface Waiting {
  /** When it says so no longer: the request is to be made then. */
  readonly waits: Promise<void>;
}

/** The router in memory, with the way for requests to come in. */
export interface MemoryRouter extends Router {
  request(host: string, path: string): OpenRequest | OwnAnswer | Waiting;
  /** Lines of the request log get lost. */
  loseLog(): void;
  /** The daemon's end: counts are gone, what is in effect stays. */
  restart(): void;
  /** The machine's end: what was in effect is gone, and counts with it; the next `start` begins anew. */
  reboot(): void;
}

const boundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, Number.POSITIVE_INFINITY];

interface Tally {
  requests: number;
  readonly classes: [number, number, number, number, number];
  aborted: number;
  readonly latency: number[];
}

interface Placed {
  readonly endpoints: RoutedSet["endpoints"];
  readonly out: Set<InstanceName>;
  turn: number;
}

/** A router without processes: same rules, requests by a call. Canaries get their share exactly, not by chance. */
export function createMemoryRouter(): MemoryRouter {
  const sets = new Map<SetName, Placed>();
  const rules = new Map<string, RouteRule & { credit: number }>();
  let tallies = new Map<SetName, Tally>();
  let open = new Set<{ set: SetName; instance: InstanceName }>();
  let gap = false;
  let epoch = 1;
  let runs = false;
  let released = Promise.withResolvers<void>();

  function letGo(): void {
    released.resolve();
    released = Promise.withResolvers();
  }

  const key = (route: Route): string => `${route.host ?? "*"}${route.path}`;

  function tally(set: SetName, status: number | null, latencyMs: number): void {
    const counts = tallies.get(set) ?? {
      requests: 0,
      classes: [0, 0, 0, 0, 0],
      aborted: 0,
      latency: boundsMs.map(() => 0),
    };
    tallies.set(set, counts);
    counts.requests += 1;
    if (status === null) counts.aborted += 1;
    else increment(counts.classes, Math.floor(status / 100) - 1);
    increment(
      counts.latency,
      boundsMs.findIndex((bound) => latencyMs <= bound),
    );
  }

  function find(host: string, path: string): (RouteRule & { credit: number }) | undefined {
    const name = host.toLowerCase().replace(/:[0-9]+$/, "");
    for (const wanted of [name, "*"]) {
      const full = `${wanted}${path.split("?")[0]}/`;
      const best = [...rules.keys()].filter((prefix) => full.startsWith(prefix)).sort((a, b) => b.length - a.length)[0];
      if (best !== undefined) return rules.get(best);
    }
    return undefined;
  }

  return {
    async start({ rules: wanted, running }) {
      if (runs) return;
      runs = true;
      const routed = new Set(
        wanted.flatMap(({ stable, canary }) => (canary === undefined ? [stable] : [stable, canary.set])),
      );
      for (const [set, placed] of sets) {
        const endpoints = placed.endpoints.filter(({ instance }) => running.has(instance));
        if (endpoints.length > 0) sets.set(set, { ...placed, endpoints });
        else sets.delete(set);
      }
      for (const set of routed) if (!sets.has(set)) sets.set(set, { endpoints: [], out: new Set(), turn: 0 });
      rules.clear();
      for (const rule of wanted) rules.set(key(rule.route), { ...rule, credit: 0 });
    },
    async place({ set, endpoints }, signal) {
      signal.throwIfAborted();
      if (endpoints.length > 0) {
        // What is drained stays so for as long as it is placed.
        const out = new Set(
          endpoints.map(({ instance }) => instance).filter((instance) => sets.get(set)?.out.has(instance) === true),
        );
        sets.set(set, { endpoints: [...endpoints], out, turn: sets.get(set)?.turn ?? 0 });
      } else if ([...rules.values()].some((rule) => rule.stable === set || rule.canary?.set === set)) {
        throw new OperatorError(
          "ROUTER_FAILED",
          `Cannot free the place of "${set}": a route still leads to it, it must be routed away first`,
          { hint: "this is a fault of Bronze itself; report it" },
        );
      } else {
        // What it answered is still asked for, when the rollout that replaced it is measured.
        sets.delete(set);
      }
    },
    async route(route, rule, signal) {
      signal.throwIfAborted();
      if (rule === null) {
        rules.delete(key(route));
        return letGo();
      }
      for (const set of [rule.stable, rule.canary?.set]) {
        if (set === undefined || sets.has(set)) continue;
        throw new OperatorError(
          "NOT_FOUND",
          `Cannot route to "${set}": it has no place in the router, it must be placed first`,
          { hint: "this is a fault of Bronze itself; report it" },
        );
      }
      rules.set(key(route), { ...rule, route, credit: 0 });
      letGo();
    },
    async inFlight(set) {
      const result = new Map<InstanceName, number>();
      for (const { instance } of sets.get(set)?.endpoints ?? [])
        result.set(instance, [...open].filter((request) => request.instance === instance).length);
      return result;
    },
    async drain(set, instances) {
      for (const instance of instances) sets.get(set)?.out.add(instance);
    },
    async cut(set, instances) {
      for (const instance of instances) sets.get(set)?.out.add(instance);
      for (const request of open) {
        if (request.set !== set || !instances.includes(request.instance)) continue;
        open.delete(request);
        tally(set, null, 0);
      }
    },
    async observe() {
      return {
        rules: [...rules.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { credit: _, ...rule }]) => rule),
        sets: [...sets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([set, { endpoints }]) => ({ set, endpoints })),
      };
    },
    traffic() {
      const result = new Map<SetName, TrafficCounts>();
      for (const [set, counts] of tallies) {
        const [c1, c2, c3, c4, c5] = counts.classes;
        const status = { "1xx": c1, "2xx": c2, "3xx": c3, "4xx": c4, "5xx": c5 };
        result.set(set, {
          epoch: String(epoch),
          requests: counts.requests,
          status,
          aborted: counts.aborted,
          gap,
          latency: { boundsMs, counts: [...counts.latency] },
        });
      }
      return result;
    },
    address: () => ({ host: "127.0.0.1", port: 80 }),
    async stop() {
      open = new Set();
      runs = false;
    },
    request(host, path) {
      const rule = find(host, path);
      if (rule === undefined) return { status: 404 };
      if (rule.hold === true) return { waits: released.promise };
      rule.credit += rule.canary?.weight ?? 0;
      let set = rule.stable;
      if (rule.canary !== undefined && rule.credit >= 10_000) {
        rule.credit -= 10_000;
        set = rule.canary.set;
      }
      const placed = sets.get(set);
      const ready = placed?.endpoints.filter((endpoint) => !placed.out.has(endpoint.instance)) ?? [];
      const chosen = placed === undefined ? undefined : ready[placed.turn % ready.length];
      if (placed === undefined || chosen === undefined) {
        tally(set, 503, 0);
        return { status: 503 };
      }
      placed.turn += 1;
      const { instance } = chosen;
      const request = { set, instance };
      open.add(request);
      const isOpen = (): boolean => open.has(request);
      const end = (status: number | null, latencyMs: number): void => {
        if (open.delete(request)) tally(set, status, latencyMs);
      };
      return { set, instance, isOpen, end };
    },
    loseLog() {
      gap = true;
    },
    reboot() {
      runs = false;
      open = new Set();
      this.restart();
    },
    restart() {
      tallies = new Map();
      gap = false;
      epoch += 1;
    },
  };
}

function increment(counters: number[], index: number): void {
  counters[index] = (counters[index] ?? 0) + 1;
}
