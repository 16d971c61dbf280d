import { asOperatorError } from "../errors/operator-error.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import type { Digest } from "../model/canonical.ts";
import { rollbackTarget } from "../rollout/target.ts";
import { decided, newsOf } from "./admission.ts";
import type { ControllerPorts, Log } from "./ports.ts";
import type { Recorder } from "./recorder.ts";

/** How often it is looked whether what is live is still verified, in ms. */
export const trustMs = 60_000;

/**
 * Judges what is live, and what a rollback would go to, where it was not judged by the keys of now: after a key was revoked, a
 * window ended, or an earlier version had released it. What is live stays so whatever comes of it; people are told.
 */
export async function lookAtTrust(
  environments: Iterable<EnvironmentRecord>,
  { verifier }: Pick<ControllerPorts, "verifier">,
  recorder: Recorder,
  log: Log,
): Promise<void> {
  const keyLog = await verifier.keyLog().catch(() => undefined);
  for (const record of environments) {
    if (record.settings.trust === "off") continue;
    for (const artifact of artifactsOf(record)) {
      const known = record.trust.get(artifact);
      if (known !== undefined && known.keyLog === keyLog) continue;
      try {
        const verification = await verifier.verify(artifact);
        const event = decided(record, artifact, record.settings.trust, verification);
        const decision = event.kind === "trust.refused" ? ({ ...event, kind: "trust.warned" } as const) : event;
        recorder.append(...newsOf(record, [decision]));
      } catch (error) {
        log("warn", `cannot verify ${artifact}`, { error: asOperatorError(error) });
      }
    }
  }
}

function artifactsOf(record: EnvironmentRecord): readonly Digest[] {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  return [live, rollbackTarget(record)].flatMap((release) => release?.content.artifact ?? []);
}
