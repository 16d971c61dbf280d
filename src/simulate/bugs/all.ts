import type { Bug } from "./bug.ts";
import { driverBugs } from "./driver-bugs.ts";
import { plannerBugs } from "./planner-bugs.ts";

/** Bugs put in on purpose, each found by the seed that is named with it; docs/simulation.md lists them. */
export const bugs: readonly Bug[] = [...plannerBugs, ...driverBugs];
