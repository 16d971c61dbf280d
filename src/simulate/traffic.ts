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
