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
  /** What is in effect, at once: rules, and the instances of a set that get new requests; the very arrays of last time where nothing changed. */
  rules(): readonly RouteRule[];
  taking(set: SetName): readonly InstanceName[];
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
  ready: readonly InstanceName[];
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

const nobody: readonly InstanceName[] = [];

function readyOf(endpoints: Placed["endpoints"], out: Placed["out"]): readonly InstanceName[] {
  const names = endpoints.map(({ instance }) => instance);
  return out.size === 0 ? names : names.filter((name) => !out.has(name));
}

/** A router without processes: same rules, requests by a call. Sets get their shares exactly, not by chance. */
export function createMemoryRouter(): MemoryRouter {
  const sets = new Map<SetName, Placed>();
  /** The longest prefix first, those of a host before those of any. */
  let rules: readonly Routed[] = [];
  /** The same, as they are told: another array as soon as one of them is another. */
  let told: readonly RouteRule[] = [];
  const log = new MemoryRequestLog();
  const open = new Set<OpenRequest>();
  let runs = false;
  let released = Promise.withResolvers<void>();

  function letGo(): void {
    released.resolve();
    released = Promise.withResolvers();
  }

  function setRules(next: readonly Routed[]): void {
    rules = next;
    told = next.map(({ rule }) => rule);
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
    setRules(next.sort((a, b) => anyHost(a) - anyHost(b) || b.prefix.length - a.prefix.length));
  }

  function find(host: string, path: string): Routed | undefined {
    if (rules.length === 0) return undefined;
    const query = path.indexOf("?");
    const asked = `${query < 0 ? path : path.slice(0, query)}/`;
    let own: string | undefined;
    for (const routed of rules) {
      const { route } = routed.rule;
      if (route.host === null) {
        if (route.path === "/" || asked.startsWith(route.path)) return routed;
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
    placed.ready = placed.ready.filter((name) => !placed.out.has(name));
  }

  return {
    async start({ rules: wanted, running }) {
      if (runs) return;
      runs = true;
      for (const [set, placed] of sets) {
        const endpoints = placed.endpoints.filter(({ instance }) => running.has(instance));
        if (endpoints.length > 0) sets.set(set, { ...placed, endpoints, ready: readyOf(endpoints, placed.out) });
        else sets.delete(set);
      }
      for (const set of wanted.flatMap(setsOfRule))
        if (!sets.has(set)) sets.set(set, { endpoints: [], out: new Set(), ready: [], turn: 0 });
      setRules([]);
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
        sets.set(set, { endpoints: [...endpoints], out, ready: readyOf(endpoints, out), turn: before?.turn ?? 0 });
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
      for (const { instance } of sets.get(set)?.endpoints ?? []) result.set(instance, 0);
      for (const { instance } of open) {
        const count = result.get(instance);
        if (count !== undefined) result.set(instance, count + 1);
      }
      return result;
    },
    async drain(set, instances) {
      takeOut(set, instances);
    },
    async cut(set, instances) {
      takeOut(set, instances);
      for (const request of open) {
        if (request.set !== set || !instances.includes(request.instance)) continue;
        request.end(null, 0);
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
      runs = false;
    },
    request(host, path, headers) {
      const routed = find(host, path);
      if (routed === undefined) return { status: 404 };
      if (routed.rule.hold === true) return { waits: released.promise };
      const set = decide(routed, headers);
      const placed = sets.get(set);
      const instance = placed?.ready[placed.turn % placed.ready.length];
      if (placed === undefined || instance === undefined) {
        log.add(set, 503, 0);
        return { status: 503 };
      }
      placed.turn += 1;
      const request: OpenRequest = {
        set,
        instance,
        isOpen: () => open.has(request),
        end(status, latencyMs) {
          if (open.delete(request)) log.add(set, status, latencyMs);
        },
      };
      open.add(request);
      return request;
    },
    loseLog: () => log.lose(),
    rules: () => told,
    taking: (set) => sets.get(set)?.ready ?? nobody,
    placed: () => sets.keys(),
    reboot() {
      runs = false;
      open.clear();
      this.restart();
    },
    restart: () => log.restart(),
  };
}
