import { clockSuite } from "../../ports/clock.suite.ts";
import { createSystemClock } from "./clock.ts";

clockSuite("createSystemClock()", () => ({
  clock: createSystemClock(1_700_000_000_000),
  pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}));
