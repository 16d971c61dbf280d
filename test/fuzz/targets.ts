import { argumentTarget } from "./arguments.ts";
import { definitionTarget, dockerfileTarget } from "./definition.ts";
import { documentTarget, tarTarget } from "./images.ts";
import { httpTarget, linesTarget } from "./lines.ts";
import { challengeTarget, lockTarget, referenceTarget } from "./registry.ts";
import { bundleTarget, keyLogTarget } from "./trust.ts";
import type { FuzzTarget } from "./target.ts";

/** Everything that reads what others wrote, and needs no other process to do it. */
export const pureTargets: readonly FuzzTarget[] = [
  definitionTarget,
  dockerfileTarget,
  argumentTarget,
  documentTarget,
  tarTarget,
  linesTarget,
  httpTarget,
  referenceTarget,
  lockTarget,
  challengeTarget,
  bundleTarget,
  keyLogTarget,
];
