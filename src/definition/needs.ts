import type { NeedPlace } from "../model/definition.ts";
import type { AppName } from "../model/names.ts";
import { parseAppName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import type { Place, Reader } from "./reader.ts";

/** Reads `needs`: the apps of its environment that must serve before this one is started. */
export function readNeeds(reader: Reader, place: Place, app: AppName | undefined): readonly NeedPlace[] {
  const needs = new Map<AppName, NeedPlace>();
  for (const item of reader.list(place)) {
    const need = reader.parsed(item, parseAppName);
    if (need === undefined || app === undefined) continue;
    if (need === app) reader.problem(item, "an app does not wait for itself");
    else if (needs.has(need)) reader.problem(item, `"${need}" stands twice in one list`);
    else needs.set(need, { app, need, ...reader.at(item) });
  }
  return [...needs.values()];
}

export interface NeedProblem {
  readonly place: NeedPlace;
  readonly message: string;
}

/** What is wrong with the needs of apps that are defined together: one that is not among them, or a circle. */
export function needProblems(apps: readonly AppName[], needs: readonly NeedPlace[]): readonly NeedProblem[] {
  const problems: NeedProblem[] = [];
  const known = needs.filter((place) => {
    if (apps.includes(place.need)) return true;
    const near = nearestName(place.need, apps);
    const advice = near === undefined ? `there are ${apps.join(", ")}` : `did you mean "${near}"?`;
    problems.push({ place, message: `there is no app "${place.need}"; ${advice}` });
    return false;
  });
  const needed = Map.groupBy(known, ({ app }) => app);
  const inCircle = new Set<AppName>();
  for (const app of apps) {
    const circle = inCircle.has(app) ? undefined : circleFrom(app, needed);
    const [first] = circle ?? [];
    if (circle === undefined || first === undefined) continue;
    for (const place of circle) inCircle.add(place.app);
    const way = [app, ...circle.map(({ need }) => need)].join(" → ");
    problems.push({ place: first, message: `leads back to where it began: ${way}` });
  }
  return problems;
}

/** The shortest way from an app back to itself. */
function circleFrom(
  app: AppName,
  needed: ReadonlyMap<AppName, readonly NeedPlace[]>,
): readonly NeedPlace[] | undefined {
  const seen = new Set<AppName>();
  let ways: (readonly NeedPlace[])[] = (needed.get(app) ?? []).map((place) => [place]);
  while (ways.length > 0) {
    const longer: (readonly NeedPlace[])[] = [];
    for (const way of ways) {
      const last = way.at(-1)?.need;
      if (last === app) return way;
      if (last === undefined || seen.has(last)) continue;
      seen.add(last);
      for (const place of needed.get(last) ?? []) longer.push([...way, place]);
    }
    ways = longer;
  }
  return undefined;
}
