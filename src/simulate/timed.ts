import type { Drivers } from "./daemons.ts";
import type { TimedStep } from "./timings.ts";

/**
 * Drivers whose calls take time: they come into effect at once, as what watches them has to see, and answer later. An append
 * holds its daemon up, which a call without an answer to wait for cannot show: the next answer comes so much later.
 */
export function timed(drivers: Drivers, draw: (step: TimedStep) => number): Drivers {
  const { clock, runtime, router, journal } = drivers;
  let owedMs = 0;
  async function taking<Result>(step: TimedStep, answer: Promise<Result>): Promise<Result> {
    const ms = draw(step) + owedMs;
    owedMs = 0;
    const passed = new Promise<void>((resolve) => clock.after(ms, resolve));
    const [result] = await Promise.all([answer, passed]);
    return result;
  }
  return {
    ...drivers,
    runtime: { ...runtime, remove: (...args) => taking("remove", runtime.remove(...args)) },
    router: {
      ...router,
      place: (...args) => taking("place", router.place(...args)),
      route: (...args) => taking("route", router.route(...args)),
    },
    journal: {
      ...journal,
      append(events) {
        owedMs += draw("append");
        return journal.append(events);
      },
    },
  };
}
