import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Leftover } from "../drivers/runc/leftovers.ts";
import { stepLeftovers, stepsFolder } from "../drivers/steps/place.ts";
import { leftByDead } from "../store/temporary.ts";

/** Where checks of builds work: a folder each, `PID-START`, with a state folder of its own for each build. */
export function checkFolder(state: string): string {
  return join(state, "check");
}

/** What builds left that were killed: of their steps, and whole folders of checks. @param state the state folder */
export async function buildLeftovers(state: string): Promise<readonly Leftover[]> {
  const checks = leftByDead(checkFolder(state));
  return [
    ...(await stepLeftovers(stepsFolder(join(state, "cache")))),
    ...checks.map((path) => ({
      subject: path,
      finding: "of a check of a build that was killed",
      remove: () => removeCheck(path),
    })),
  ];
}

/** Nobody would look for what a build's steps left on the machine once the folder of its cache is gone: that goes first. */
export async function removeCheck(dir: string): Promise<void> {
  for (const state of await readdir(dir).catch(() => []))
    for (const { remove } of await stepLeftovers(stepsFolder(join(dir, state, "cache")))) await remove();
  // A build's cache is brought back to its bounds behind it.
  await rm(dir, { recursive: true, force: true, maxRetries: 10 });
}
