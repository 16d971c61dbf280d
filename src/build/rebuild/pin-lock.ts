import { fullName, parseReference } from "../../image/reference.ts";
import { isDigest, canonicalJson } from "../../model/canonical.ts";
import { withPin } from "../bases.ts";
import { pinsToJson } from "../debian/pins.ts";
import { ownRequestName } from "../debian/recipe.ts";
import { changeLock } from "../lock-file.ts";
import type { RebuildPlan } from "./plan.ts";

/** Has bronze.lock of a folder say what the build took. Where it says so already, its bytes stay as they are. */
export async function pinLock(
  { bases, build, debian }: Pick<RebuildPlan, "bases" | "build" | "debian">,
  dir: string,
  signal: AbortSignal,
): Promise<void> {
  await changeLock(dir, signal, (lock) => {
    let now = lock;
    for (const { name, platform, digest } of bases) {
      const reference = isDigest(name) ? undefined : parseReference(name);
      if (reference === undefined || reference.digest !== null) continue;
      const full = fullName(reference);
      if (now.bases[full]?.platforms[platform] === digest) continue;
      now = withPin(now, full, { index: null, platforms: { [platform]: digest } }, "move");
    }
    if (build.kind !== "debian" || debian === null) return now;
    const request = ownRequestName(build);
    const pins = pinsToJson(debian);
    const known = now.debian[request];
    if (known !== undefined && canonicalJson(known) === canonicalJson(pins)) return now;
    return { ...now, debian: { ...now.debian, [request]: pins } };
  });
}
