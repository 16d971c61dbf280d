import type { SetName } from "../model/names.ts";
import type { World } from "./world.ts";

/** Helpers of the tests that ask for pages while something changes. */

/** From now on the router takes its time for each change of a route. */
export function slowRoutes(world: World, ms: number): void {
  const { route } = world.router;
  world.router.route = async (...change) => {
    await new Promise<void>((resolve) => world.clock.after(ms, resolve));
    await route.apply(world.router, change);
  };
}

/** The status that a client gets now. */
function answer(world: World): number {
  const request = world.router.request("shop", "/");
  // One that waits is not answered.
  if (!("end" in request)) return "status" in request ? request.status : 0;
  request.end(200, 1);
  return 200;
}

/** Lets time pass and asks for a page every few ms. @returns how many were not answered with 200 */
export async function failedWhile(world: World, ms: number): Promise<number> {
  let failed = 0;
  for (let passed = 0; passed < ms; passed += 5) {
    await world.clock.advance(5);
    if (answer(world) !== 200) failed += 1;
  }
  return failed;
}

/** The set that answers the first route. */
export const servedBy = async (world: World): Promise<SetName | undefined> =>
  (await world.router.observe()).rules[0]?.stable;

/** Clients that ask for pages from now on; some take long. */
export interface Clients {
  /** @returns how many were not answered, or not to the end, and how many were answered by each set */
  stop(): { readonly failed: number; readonly answered: ReadonlyMap<SetName, number> };
}

/** Time between two requests, and how long answers take, in ms; each `longEvery`th is long. */
const [betweenMs, answerMs, longMs, longEvery] = [40, 20, 2_000, 12];

/** Asks for pages every few ms. A request fails that has no instance, or whose instance ends under it. */
export function clientsOf(world: World): Clients {
  let failed = 0;
  let count = 0;
  const answered = new Map<SetName, number>();
  let stopped = false;
  const ask = (): void => {
    const request = world.router.request("shop", "/");
    if ("waits" in request) return void request.waits.then(ask);
    if (!("end" in request)) {
      failed += 1;
      return;
    }
    count += 1;
    world.clock.after(count % longEvery === 0 ? longMs : answerMs, () => {
      const isWhole = request.isOpen() && world.machine.instance(request.instance)?.seen.phase === "running";
      request.end(isWhole ? 200 : null, 1);
      if (isWhole) answered.set(request.set, (answered.get(request.set) ?? 0) + 1);
      else failed += 1;
    });
  };
  const again = (): void => {
    if (stopped) return;
    ask();
    world.clock.after(betweenMs, again);
  };
  again();
  return {
    stop() {
      stopped = true;
      return { failed, answered };
    },
  };
}
