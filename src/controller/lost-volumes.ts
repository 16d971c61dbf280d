import { OperatorError } from "../errors/operator-error.ts";
import { nextOrdinalOf, type EnvironmentRecord } from "../ledger/state.ts";
import { webProcess } from "../model/names.ts";
import { formatVolume, volumesOf, type AttachedVolume } from "../model/volumes.ts";
import type { VolumeStore } from "../ports/volumes.ts";

/**
 * Refuses to go on where a volume that what is live was started with is there no more: an empty one made in its place
 * would pass for it, and a database would begin anew without a word.
 *
 * @param wanted volumes of what is to start
 * @throws {OperatorError} `VOLUME_LOST`, naming the volumes
 */
export async function refuseLostVolumes(
  store: Pick<VolumeStore, "list">,
  record: EnvironmentRecord,
  wanted: readonly AttachedVolume[],
): Promise<void> {
  const live = record.live === null ? undefined : record.sets.get(record.live.set);
  if (live === undefined || nextOrdinalOf(live, webProcess) === 1) return;
  const had = new Set(volumesOf(live.content.settings, webProcess, live).map(({ id }) => formatVolume(id)));
  const both = wanted.map(({ id }) => formatVolume(id)).filter((id) => had.has(id));
  if (both.length === 0) return;
  const there = new Set((await store.list()).map(({ id }) => formatVolume(id)));
  const lost = both.filter((id) => !there.has(id));
  if (lost.length === 0) return;
  throw new OperatorError(
    "VOLUME_LOST",
    `Cannot find volume ${lost.join(", ")}, which v${record.live?.release ?? 0} has: its folder in the state folder's volumes/ is gone or not whole`,
    {
      hint: "mount or put back what is missing there, and it goes on by itself; to begin with an empty one, move away what is left of it, then `bronze down` and `bronze up`",
    },
  );
}
