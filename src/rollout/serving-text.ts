import type { EnvironmentRecord } from "../ledger/state.ts";
import { sharesRequests } from "./app-names.ts";

/**
 * What goes on serving when the rollout under way ends, in words. What is ready of a rolling one serves on until what is
 * live is whole again.
 *
 * @param isBad it proved bad: nothing of it does
 */
export function servingText({ live, sets, active }: EnvironmentRecord, isBad = false): string {
  if (live === null) return "no release serves";
  const beside = [...sets.values()].filter(
    (set) => sharesRequests(set) && set.proven.size > 0 && !(isBad && set.role === "next"),
  );
  if (beside.length === 0) return `all traffic is still on v${live.release}`;
  const names = beside.map(({ role, release }) => `v${role === "next" ? (active ?? release) : release}`);
  return `v${live.release} grows whole again, what is ready of ${names.join(" and ")} serves until then`;
}
