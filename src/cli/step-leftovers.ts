import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** What steps of killed builds left on the machine goes at the next build, also where that one runs no step. */
export async function clearSteps(cacheDir: string): Promise<void> {
  if ((await readdir(join(cacheDir, "steps")).catch(() => [])).length === 0) return;
  const { stepLeftovers, stepsFolder } = await import("../drivers/steps/place.ts");
  for (const { remove } of await stepLeftovers(stepsFolder(cacheDir))) await remove();
}
