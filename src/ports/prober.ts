/** What came of asking an instance whether it is well. */
export type ProbeResult =
  | { readonly kind: "answered"; readonly status: number; readonly latencyMs: number; readonly body: string }
  | { readonly kind: "refused" | "timeout" | "reset" | "unreachable"; readonly latencyMs: number };

export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  /** Path of the GET request. */
  readonly path: string;
}

/** Asks instances. One request on a new connection per call; never throws for what the instance does. */
export interface Prober {
  probe(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult>;
}
