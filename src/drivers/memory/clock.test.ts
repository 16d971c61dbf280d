import { clockSuite } from "../../ports/clock.suite.ts";
import { createVirtualClock } from "./clock.ts";

clockSuite("createVirtualClock()", () => {
  const clock = createVirtualClock();
  return { clock, pass: clock.advance };
});
