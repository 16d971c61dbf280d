import type { ProbeResult } from "../model/observation.ts";

export type { ProbeResult };

export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  /** Path of the GET request; null: a connection is enough. */
  readonly path: string | null;
}

/** Asks instances. One request on a new connection per call; never throws for what the instance does. */
export interface Prober {
  probe(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult>;
}
