import type { Route } from "../model/content.ts";
import type { Endpoint, RoutedSet, RouteRule, TrafficCounts } from "../model/observation.ts";
import type { InstanceName, SetName } from "../model/names.ts";

export type { Endpoint, RoutedSet, RouteRule, TrafficCounts };

/**
 * Brings requests to sets. The router outlives the daemon; after a restart `observe` tells what is in effect.
 * Every change is on disk before it is in effect, so that a router that is started again comes back the same.
 */
export interface Router {
  /** Starts the router, or finds the one that runs. Idempotent. */
  start(signal: AbortSignal): Promise<void>;

  /** Makes a set's endpoints exactly these, without touching other sets; [] frees its place. In effect when it resolves. */
  place(set: RoutedSet, signal: AbortSignal): Promise<void>;

  /**
   * Replaces the rule of one route (null takes it away): atomic, and in effect for every later request when it resolves.
   * The set must have been placed.
   */
  route(route: Route, rule: RouteRule | null, signal: AbortSignal): Promise<void>;

  /** Requests and connections now open to each instance; an instance the router does not know is absent. */
  inFlight(set: SetName): Promise<ReadonlyMap<InstanceName, number>>;

  /** Takes instances out for new requests; those in flight go on. Lasts until they are no longer placed. */
  drain(set: SetName, instances: readonly InstanceName[]): Promise<void>;

  /** Closes what is still open to these instances: only at the drain deadline. */
  cut(set: SetName, instances: readonly InstanceName[]): Promise<void>;

  /** What is in effect now; drained instances are still placed. */
  observe(): Promise<{ readonly rules: readonly RouteRule[]; readonly sets: readonly RoutedSet[] }>;

  /** Counts per set, from the request log; synchronous, from memory. */
  traffic(): ReadonlyMap<SetName, TrafficCounts>;

  /** Where clients reach it. */
  address(): { readonly host: string; readonly port: number };

  /** Ends the router; every open connection is closed. */
  stop(): Promise<void>;
}
