import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { checkFolder, removeCheck } from "../../daemon/build-leftovers.ts";
import { leftByDead, thisProcess } from "../../store/temporary.ts";

/** Does work in a folder that is gone afterwards; those of killed checks go too. Its name is short: sockets' paths are. */
export async function inCheckFolder<Result>(state: string, work: (dir: string) => Promise<Result>): Promise<Result> {
  const parent = checkFolder(state);
  const dir = join(parent, thisProcess());
  await mkdir(dir, { recursive: true });
  try {
    for (const abandoned of leftByDead(parent)) await removeCheck(abandoned);
    return await work(dir);
  } finally {
    await removeCheck(dir);
  }
}
