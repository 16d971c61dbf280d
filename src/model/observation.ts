import type { Digest } from "./canonical.ts";
import type { Route } from "./content.ts";
import type { AppName, InstanceName, SetName } from "./names.ts";

/** How an instance ended. */
export interface Exit {
  /** Exit status; 128 + signal when a signal ended it; null when nobody saw it end. */
  readonly code: number | null;
  /** Killed at its memory limit. */
  readonly outOfMemory: boolean;
  /** When it was noticed, on the ledger's timeline. */
  readonly atMs: number;
}

/** What is known about an instance that does not do as it should; facts only, judged elsewhere. */
export interface InstanceFacts {
  readonly exit: Exit | null;
  /** Sockets that listen inside it. */
  readonly listening: readonly { readonly address: string; readonly port: number }[];
  /** Last lines it wrote, oldest first, at most 50 of at most 2,000 characters. */
  readonly logTail: readonly string[];
}

/** What a running instance is in truth, to be held against its content. */
export interface InstanceObservation {
  readonly name: InstanceName;
  /** Digest of the artifact whose image is mounted as its root. */
  readonly artifact: Digest | null;
  /** False when an image file under its root was touched since it was verified. */
  readonly imageIntact: boolean;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  /** Mount points and options, one line each, sorted. */
  readonly mounts: readonly string[];
  /** Processes that entered from outside: in-namespace parent 0 and not the first process. */
  readonly entered: readonly { readonly pid: number; readonly command: string }[];
}

/** The same facts as they must be, known from when the instance was started from its content. */
export type ExpectedObservation = Omit<InstanceObservation, "entered" | "imageIntact">;

/** Where one instance takes requests. */
export interface Endpoint {
  readonly instance: InstanceName;
  readonly address: string;
  readonly port: number;
}

/** What an app's name stands for inside its environment. */
export interface AppAddresses {
  readonly app: AppName;
  /** IPv4, sorted; never empty. */
  readonly addresses: readonly string[];
}

/** A set that can take traffic, and the instances that do so for it. */
export interface RoutedSet {
  readonly set: SetName;
  readonly endpoints: readonly Endpoint[];
}

/** One route and what answers it. */
export interface RouteRule {
  readonly route: Route;
  /** Answers what the others do not. */
  readonly stable: SetName;
  /**
   * Other sets, at most 3, and the share of requests that each answers, in 1/10000; together at most 10,000. With weight 0
   * a set has only the requests that ask for it by name. The first is the one that `canary` names.
   */
  readonly canaries?: readonly { readonly set: SetName; readonly weight: number }[];
  /** Requests wait, for as long as this rule holds and no longer than a minute each; absent: they do not. */
  readonly hold?: boolean;
}

/** Requests a set has answered since `sinceMs`; only ever grows until `epoch` changes. */
export interface TrafficCounts {
  /** Changes when counting began anew (daemon restart). */
  readonly epoch: string;
  readonly requests: number;
  /** By class of status, the router's own answers for this set included. */
  readonly status: {
    readonly "1xx": number;
    readonly "2xx": number;
    readonly "3xx": number;
    readonly "4xx": number;
    readonly "5xx": number;
  };
  /** Requests that the client or the instance broke off, or that got no status. */
  readonly aborted: number;
  /** True when log lines were lost since `epoch` began: the counts are then a lower bound and prove nothing. */
  readonly gap: boolean;
  /** How often lines were lost since `epoch` began: between two looks with the same number none were. */
  readonly gaps: number;
  /** Latency histogram: upper bounds in ms (last is Infinity) and counts. */
  readonly latency: { readonly boundsMs: readonly number[]; readonly counts: readonly number[] };
}

/** What came of asking an instance whether it is well. */
export type ProbeResult =
  | { readonly kind: "answered"; readonly status: number; readonly latencyMs: number; readonly body: string }
  /** The port accepted, which was all that was asked. */
  | { readonly kind: "accepted"; readonly latencyMs: number }
  | { readonly kind: "refused" | "timeout" | "reset" | "unreachable"; readonly latencyMs: number };
