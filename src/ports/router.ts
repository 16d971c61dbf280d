import type { Route } from "../model/content.ts";
import type { Endpoint, RoutedSet, RouteRule, TrafficCounts } from "../model/observation.ts";
import type { InstanceName, SetName } from "../model/names.ts";

export type { Endpoint, RoutedSet, RouteRule, TrafficCounts };

/** What a router begins with where none runs, as after a reboot: what it kept itself may be older than the ledger. */
export interface RouterBeginning {
  /** What answers each route. */
  readonly rules: readonly RouteRule[];
  /** Instances that run; endpoints of others are gone. */
  readonly running: ReadonlySet<InstanceName>;
}

/** A set as the router has it. */
export interface ObservedSet extends RoutedSet {
  /** Those of its instances that were drained, in any order; absent: none. */
  readonly drained?: readonly InstanceName[];
}

/**
 * Brings requests to sets. The router outlives the daemon; after a restart `observe` tells what is in effect.
 * Every change is on disk before it is in effect, so that a router that is started again comes back the same.
 */
export interface Router {
  /**
   * Starts the router, or finds the one that runs and leaves what is in effect there as it is. One that starts anew
   * routes as `beginning` says from its first request on; a set that a rule leads to has a place even without instances,
   * and requests to it wait for some time. Idempotent.
   */
  start(beginning: RouterBeginning, signal: AbortSignal): Promise<void>;

  /** Makes a set's endpoints exactly these, without touching other sets; [] frees its place. In effect when it resolves. */
  place(set: RoutedSet, signal: AbortSignal): Promise<void>;

  /**
   * Replaces the rule of one route (null takes it away): atomic, and in effect for every later request when it resolves.
   * Its sets must have been placed; a set may answer several routes.
   *
   * A request whose header or cookie names a set of its rule (`setAskedFor`) goes there whatever the weights. A canary of
   * which no instance takes requests leaves its share to the stable set, but not those that ask for it by name.
   */
  route(route: Route, rule: RouteRule | null, signal: AbortSignal): Promise<void>;

  /** Requests and connections now open to each instance; an instance the router does not know is absent. */
  inFlight(set: SetName): Promise<ReadonlyMap<InstanceName, number>>;

  /** Takes instances out for new requests; those in flight go on. Lasts until they are no longer placed. */
  drain(set: SetName, instances: readonly InstanceName[]): Promise<void>;

  /** Closes what is still open to these instances: only at the drain deadline. */
  cut(set: SetName, instances: readonly InstanceName[]): Promise<void>;

  /** What is in effect now; drained instances are still placed. */
  observe(): Promise<{ readonly rules: readonly RouteRule[]; readonly sets: readonly ObservedSet[] }>;

  /** Counts per set, from the request log; synchronous, from memory. */
  traffic(): ReadonlyMap<SetName, TrafficCounts>;

  /** Where clients reach it. */
  address(): { readonly host: string; readonly port: number };

  /** Ends the router; every open connection is closed. */
  stop(): Promise<void>;
}
