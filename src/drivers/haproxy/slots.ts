import type { Slot } from "./record.ts";
import type { ServerState } from "./tables.ts";

const nowhere = { address: "127.0.0.1", port: 1 };

/**
 * The commands that bring a backend's servers to what is wanted; none when they are there already.
 * New ones become ready before vanished ones go, so that requests always find a server.
 *
 * @param states by `backend/server`
 */
export function slotCommands(
  backend: string,
  slots: readonly Slot[],
  states: ReadonlyMap<string, ServerState>,
): string[] {
  const coming: string[] = [];
  const going: string[] = [];
  const used = new Map(slots.map((slot) => [`${backend}/s${slot.slot}`, slot]));
  for (const [server, slot] of used) {
    const state = states.get(server);
    if (state?.address !== slot.address || state.port !== slot.port)
      coming.push(`set server ${server} addr ${slot.address} port ${slot.port}`);
    if (!slot.out && state?.ready !== true) coming.push(`set server ${server} state ready`);
    if (slot.out && state?.ready !== false) going.push(`set server ${server} state drain`);
  }
  for (const [server, state] of states) {
    if (state.backend !== backend || used.has(server)) continue;
    if (state.ready) going.push(`set server ${server} state maint`);
    if (state.address !== nowhere.address || state.port !== nowhere.port)
      going.push(`set server ${server} addr ${nowhere.address} port ${nowhere.port}`);
  }
  return [...coming, ...going];
}
