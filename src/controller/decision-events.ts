import type { EventData } from "../ledger/event.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import type { Json } from "../model/canonical.ts";
import type { Decision } from "../rollout/decisions/decide.ts";

/** The events of decisions, to be appended with their effect. */
export function decisionEvents(
  { app, environment }: EnvironmentRecord,
  release: number,
  decisions: readonly Decision[] = [],
): readonly EventData[] {
  return decisions.map(({ rule, inputs, outcome, sentence }) => ({
    kind: "decision.made",
    app,
    environment,
    release,
    rule,
    // All inputs and outcomes are plain objects of what JSON carries.
    inputs: inputs as unknown as Json,
    outcome: outcome as unknown as Json,
    sentence,
  }));
}
