import type { Places } from "../../model/places.ts";
import { removeTree } from "./copy.ts";
import { allAbandoned, volumeFolder } from "./layout.ts";

/** What killed processes left half-made or half-removed; volumes themselves are nobody's leftovers. */
export function volumeLeftovers(
  places: Pick<Places, "state">,
): readonly { readonly subject: string; readonly finding: string; remove(): Promise<void> }[] {
  return allAbandoned(volumeFolder(places)).map((path) => ({
    subject: path,
    finding: "of a volume or snapshot that was being made or removed",
    remove: () => removeTree(path),
  }));
}
