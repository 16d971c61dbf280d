import type { InstanceName, SetName } from "../../model/names.ts";
import type { Route } from "../../model/content.ts";
import { leadsTo, problemOfRule, setAskedFor, setsOfRule, weightsOf } from "../../model/route-rule.ts";
import { wholeWeight } from "../../model/strategy.ts";
import type { Endpoint, RoutedSet, Router, RouteRule } from "../../ports/router.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { MemoryRequestLog } from "./request-log.ts";

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
  /** @param headers by lower-case name */
  request(host: string, path: string, headers?: Readonly<Record<string, string>>): OpenRequest | OwnAnswer | Waiting;
  /** Lines of the request log get lost. */
  loseLog(): void;
  /** What is in effect, at once: rules, and the endpoints of a set that get new requests. */
  rules(): readonly RouteRule[];
  taking(set: SetName): readonly Endpoint[];
  /** Sets that have a place. */
  placed(): Iterable<SetName>;
  /** The daemon's end: counts are gone, what is in effect stays. */
  restart(): void;
  /** The machine's end: what was in effect is gone, and counts with it; the next `start` begins anew. */
  reboot(): void;
}

interface Placed {
  readonly endpoints: RoutedSet["endpoints"];
  readonly out: Set<InstanceName>;
  /** Those that take new requests. */
  ready: readonly Endpoint[];
  turn: number;
}

/** One set of a rule, and what it has earned of the next request. */
interface Share {
  readonly set: SetName;
  readonly weight: number;
  credit: number;
}

interface Routed {
  /** Host and path, which a request's begin with. */
  readonly prefix: string;
  readonly rule: RouteRule;
  readonly shares: readonly Share[];
}

/** A router without processes: same rules, requests by a call. Sets get their shares exactly, not by chance. */
export function createMemoryRouter(): MemoryRouter {
  const sets = new Map<SetName, Placed>();
  /** The longest prefix first, those of a host before those of any. */
  let rules: readonly Routed[] = [];
  const log = new MemoryRequestLog();
  const open = new Set<{ readonly set: SetName; readonly instance: InstanceName }>();
  const openAt = new Map<InstanceName, number>();
  let runs = false;
  let released = Promise.withResolvers<void>();

  function letGo(): void {
    released.resolve();
    released = Promise.withResolvers();
  }

  const prefixOf = (route: Route): string => `${route.host ?? "*"}${route.path}`;

  function setRule(route: Route, rule: RouteRule | null): void {
    const prefix = prefixOf(route);
    const next = rules.filter((one) => one.prefix !== prefix);
    if (rule !== null) {
      const { stable, canaries = [], hold } = rule;
      const kept = {
        route,
        stable,
        ...(canaries.length === 0 ? {} : { canaries }),
        ...(hold === true ? { hold } : {}),
      };
      next.push({ prefix, rule: kept, shares: weightsOf(kept).map((share) => ({ ...share, credit: 0 })) });
    }
    const anyHost = ({ rule: { route: of } }: Routed): number => Number(of.host === null);
    rules = next.sort((a, b) => anyHost(a) - anyHost(b) || b.prefix.length - a.prefix.length);
  }

  function find(host: string, path: string): Routed | undefined {
    if (rules.length === 0) return undefined;
    const query = path.indexOf("?");
    const asked = `${query < 0 ? path : path.slice(0, query)}/`;
    let own: string | undefined;
    for (const routed of rules) {
      if (routed.rule.route.host === null) {
        if (asked.startsWith(routed.rule.route.path)) return routed;
      } else {
        own ??= `${host.toLowerCase().replace(/:[0-9]+$/, "")}${asked}`;
        if (own.startsWith(routed.prefix)) return routed;
      }
    }
    return undefined;
  }

  /** Whose turn it is: after any 10,000 requests each had exactly its weight, and nearly so at any time. */
  function pick(shares: readonly Share[]): SetName | undefined {
    let most: Share | undefined;
    for (const share of shares) {
      share.credit += share.weight;
      if (share.weight > 0 && (most === undefined || share.credit > most.credit)) most = share;
    }
    if (most !== undefined) most.credit -= wholeWeight;
    return most?.set;
  }

  function decide({ rule, shares }: Routed, headers: Readonly<Record<string, string>> | undefined): SetName {
    if (rule.canaries === undefined) return rule.stable;
    const asked = headers === undefined ? undefined : setAskedFor(rule, headers);
    if (asked !== undefined) return asked;
    const picked = pick(shares);
    return picked === undefined || (sets.get(picked)?.ready.length ?? 0) === 0 ? rule.stable : picked;
  }

  function takeOut(set: SetName, instances: readonly InstanceName[]): void {
    const placed = sets.get(set);
    if (placed === undefined) return;
    for (const name of instances) if (placed.endpoints.some(({ instance }) => instance === name)) placed.out.add(name);
    placed.ready =
      placed.out.size === 0 ? placed.endpoints : placed.endpoints.filter(({ instance }) => !placed.out.has(instance));
  }

  function close(request: { readonly set: SetName; readonly instance: InstanceName }): boolean {
    if (!open.delete(request)) return false;
    const left = (openAt.get(request.instance) ?? 1) - 1;
    if (left === 0) openAt.delete(request.instance);
    else openAt.set(request.instance, left);
    return true;
  }

  return {
    async start({ rules: wanted, running }) {
      if (runs) return;
      runs = true;
      for (const [set, placed] of sets) {
        const endpoints = placed.endpoints.filter(({ instance }) => running.has(instance));
        if (endpoints.length > 0) sets.set(set, { ...placed, endpoints });
        else sets.delete(set);
        takeOut(set, []);
      }
      for (const set of wanted.flatMap(setsOfRule))
        if (!sets.has(set)) sets.set(set, { endpoints: [], out: new Set(), ready: [], turn: 0 });
      rules = [];
      for (const rule of wanted) setRule(rule.route, rule);
    },
    async place({ set, endpoints }, signal) {
      signal.throwIfAborted();
      if (endpoints.length > 0) {
        // What is drained stays so for as long as it is placed.
        const before = sets.get(set);
        const isOut = ({ instance }: Endpoint): boolean => before?.out.has(instance) === true;
        const drained = before === undefined || before.out.size === 0 ? [] : endpoints.filter(isOut);
        const out = new Set(drained.map(({ instance }) => instance));
        sets.set(set, { endpoints: [...endpoints], out, ready: [], turn: before?.turn ?? 0 });
        takeOut(set, []);
      } else if (rules.some(({ rule }) => leadsTo(rule, set))) {
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
      const problem = rule === null ? undefined : problemOfRule(rule);
      if (problem !== undefined) {
        throw new OperatorError("ARGUMENT_INVALID", `Cannot use a rule with ${problem}`, {
          hint: "weights are in 1/10000 of the requests",
        });
      }
      const unknown = rule === null ? undefined : setsOfRule(rule).find((set) => !sets.has(set));
      if (unknown !== undefined) {
        throw new OperatorError(
          "NOT_FOUND",
          `Cannot route to "${unknown}": it has no place in the router, it must be placed first`,
          { hint: "this is a fault of Bronze itself; report it" },
        );
      }
      setRule(route, rule);
      letGo();
    },
    async inFlight(set) {
      const result = new Map<InstanceName, number>();
      for (const { instance } of sets.get(set)?.endpoints ?? []) result.set(instance, openAt.get(instance) ?? 0);
      return result;
    },
    async drain(set, instances) {
      takeOut(set, instances);
    },
    async cut(set, instances) {
      takeOut(set, instances);
      for (const request of open) {
        if (request.set !== set || !instances.includes(request.instance)) continue;
        close(request);
        log.add(set, null, 0);
      }
    },
    async observe() {
      return {
        rules: rules.toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1)).map(({ rule }) => rule),
        sets: [...sets]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([set, { endpoints, out }]) => ({ set, endpoints, ...(out.size === 0 ? {} : { drained: [...out] }) })),
      };
    },
    traffic: () => log.counts(),
    address: () => ({ host: "127.0.0.1", port: 80 }),
    async stop() {
      open.clear();
      openAt.clear();
      runs = false;
    },
    request(host, path, headers) {
      const routed = find(host, path);
      if (routed === undefined) return { status: 404 };
      if (routed.rule.hold === true) return { waits: released.promise };
      const set = decide(routed, headers);
      const placed = sets.get(set);
      const chosen = placed?.ready[placed.turn % placed.ready.length];
      if (placed === undefined || chosen === undefined) {
        log.add(set, 503, 0);
        return { status: 503 };
      }
      placed.turn += 1;
      const { instance } = chosen;
      const request = { set, instance };
      open.add(request);
      openAt.set(instance, (openAt.get(instance) ?? 0) + 1);
      const isOpen = (): boolean => open.has(request);
      const end = (status: number | null, latencyMs: number): void => {
        if (close(request)) log.add(set, status, latencyMs);
      };
      return { set, instance, isOpen, end };
    },
    loseLog: () => log.lose(),
    rules: () => rules.map(({ rule }) => rule),
    taking: (set) => sets.get(set)?.ready ?? [],
    placed: () => sets.keys(),
    reboot() {
      runs = false;
      open.clear();
      openAt.clear();
      this.restart();
    },
    restart: () => log.restart(),
  };
}
