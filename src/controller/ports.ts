import type { Clock } from "../ports/clock.ts";
import type { EvidenceKeeper } from "../ports/evidence.ts";
import type { Journal } from "../ports/journal.ts";
import type { Metrics } from "../ports/metrics.ts";
import type { Machine } from "../ports/machine.ts";
import type { Prober } from "../ports/prober.ts";
import type { Router } from "../ports/router.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Verifier } from "../ports/verifier.ts";
import type { VolumeStore } from "../ports/volumes.ts";
import type { Secrets } from "../ports/secrets.ts";

/** Everything the controller touches the world with. */
export interface ControllerPorts {
  readonly runtime: Runtime;
  readonly router: Router;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly machine: Machine;
  readonly metrics: Metrics;
  readonly evidence: EvidenceKeeper;
  readonly volumes: VolumeStore;
  readonly secrets: Secrets;
  readonly verifier: Verifier;
}

/**
 * Says something for the daemon's own log; never the only place where something is told.
 *
 * @param details written as JSON: an error among them gives its own, which is made only if it is written
 */
export type Log = (level: "info" | "warn" | "error", message: string, details?: object) => void;
