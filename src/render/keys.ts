import type { Digest } from "../model/canonical.ts";
import { shortKey, type KeyLog, type LoggedKey } from "../trust/key-log.ts";
import { renderTable } from "./table.ts";

/**
 * All signing keys, the newest first.
 *
 * @param counts how many statements the lists have that the log names; one that is lost has no count
 */
export function renderKeys({ keys }: KeyLog, counts: ReadonlyMap<Digest, number>): readonly string[] {
  if (keys.length === 0) return ["no key yet; `bronze key create` makes one, and so does the first build"];
  const rows = [...keys]
    .reverse()
    .map((key) => [shortKey(key.id), key.state, dayOf(key.notBefore), untilOf(key), remark(key, counts)]);
  return renderTable([["KEY", "STATE", "FROM", "UNTIL", ""], ...rows]);
}

function untilOf({ notAfter }: LoggedKey): string {
  return notAfter === null ? "-" : dayOf(notAfter);
}

function remark({ state, endedAt, reason, stands, notAfter }: LoggedKey, counts: ReadonlyMap<Digest, number>): string {
  if (state === "active") return "signs";
  const count = stands === null ? undefined : counts.get(stands);
  const listed = count === undefined ? "the list of what stands is lost" : counted(count);
  const when = `${state} ${dayOf(endedAt ?? "")}`;
  if (state === "rotated" && notAfter === null) return `${when}, what it signed is believed`;
  if (state === "rotated") return `${when}; once its time is over, ${listed}`;
  return `${when}${reason === null || reason === "" ? "" : `: ${reason}`}; ${listed}`;
}

/** How many statements stand, in words. */
export function counted(count: number): string {
  return count === 1 ? "1 statement stands" : `${count} statements stand`;
}

function dayOf(time: string): string {
  return time.slice(0, 10);
}
