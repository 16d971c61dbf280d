import { environmentKey, type LedgerState } from "../ledger/state.ts";
import type { Secrets } from "../ports/secrets.ts";

/**
 * Removes values that have ended and that no instance may need again.
 *
 * @param strangers `remove`: those too that no event tells of, as a killed daemon leaves them; only while nothing is written
 */
export async function sweepSecrets(
  secrets: Secrets,
  state: LedgerState,
  strangers: "keep" | "remove" = "keep",
): Promise<void> {
  const hasKnown = [...state.environments.values()].some((record) => record.secrets.size > 0);
  if (strangers === "keep" && !hasKnown) return;
  for (const one of await secrets.list()) {
    const record = state.environments.get(environmentKey(one.app, one.environment));
    const known = record?.secrets.get(one.name)?.versions.find(({ version }) => version === one.version);
    const isNeeded =
      [...(record?.sets.values() ?? [])].some((set) => set.content.secrets[one.name] === one.version) ||
      // A command may have been given it, and its value has to be taken out of what that wrote.
      [...(record?.tasks.values() ?? [])].some(({ ended }) => ended === null);
    const isStranger = known === undefined && strangers === "remove";
    if (isStranger || (known !== undefined && known.ended !== null && !isNeeded)) await secrets.remove(one);
  }
}
