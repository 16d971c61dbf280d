import { definitionTarget, dockerfileTarget } from "./definition.ts";
import type { FuzzTarget } from "./target.ts";

/** Everything that reads what others wrote, and needs no other process to do it. */
export const pureTargets: readonly FuzzTarget[] = [definitionTarget, dockerfileTarget];
