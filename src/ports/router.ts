import type { Route } from "../model/content.ts";
import type { InstanceName, SetName } from "../model/names.ts";

/** Where one instance takes requests. */
export interface Endpoint {
  readonly instance: InstanceName;
  readonly address: string;
  readonly port: number;
}

/** A set that can take traffic, and the instances that do so for it. */
export interface RoutedSet {
  readonly set: SetName;
  readonly endpoints: readonly Endpoint[];
}

/** One route and what answers it. */
export interface RouteRule {
  readonly route: Route;
  readonly stable: SetName;
  /** Share of requests that another set answers, in 1/10000. */
  readonly canary?: { readonly set: SetName; readonly weight: number };
}

/** Requests a set has answered since `sinceMs`; only ever grows until `epoch` changes. */
export interface TrafficCounts {
  /** Changes when counting began anew (daemon restart). */
  readonly epoch: string;
  readonly requests: number;
  /** By class of status, the router's own answers for this set included. */
  readonly status: { readonly "1xx": number; readonly "2xx": number; readonly "3xx": number; readonly "4xx": number; readonly "5xx": number };
  /** Requests that the client or the instance broke off, or that got no status. */
  readonly aborted: number;
  /** True when log lines were lost since `epoch` began: the counts are then a lower bound and prove nothing. */
  readonly gap: boolean;
  /** Latency histogram: upper bounds in ms (last is Infinity) and counts. */
  readonly latency: { readonly boundsMs: readonly number[]; readonly counts: readonly number[] };
}

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

  /** Takes instances out for new requests; those in flight go on. */
  drain(set: SetName, instances: readonly InstanceName[]): Promise<void>;

  /** Closes what is still open to these instances: only at the drain deadline. */
  cut(set: SetName, instances: readonly InstanceName[]): Promise<void>;

  /** What is in effect now. */
  observe(): Promise<{ readonly rules: readonly RouteRule[]; readonly sets: readonly RoutedSet[] }>;

  /** Counts per set, from the request log; synchronous, from memory. */
  traffic(): ReadonlyMap<SetName, TrafficCounts>;

  /** Where clients reach it. */
  address(): { readonly host: string; readonly port: number };

  /** Ends the router; every open connection is closed. */
  stop(): Promise<void>;
}
