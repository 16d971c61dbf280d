import { OperatorError } from "../../errors/operator-error.ts";
import type { Route } from "../../model/content.ts";
import type { SetName } from "../../model/names.ts";
import { problemOfRule } from "../../model/route-rule.ts";
import type { RouteRule } from "../../ports/router.ts";

/** What a rule ends in while requests wait. */
export const holdMark = "|hold";

/** A rule as the routes map holds it, with the backends that answer it. */
export interface RouteEntry {
  readonly key: string;
  readonly value: string;
}

/**
 * A rule as one line of the map: everything about a route is one value, so one `set map` changes all of it at once.
 * `b3:shop-production-v12:0`; with a canary of 2.5 % `b3:shop-production-v12:250|b5:shop-production-v13`; further canaries
 * follow, and what stands beside the stable set are sums: `b3:S:250:1250|b5:C|b6:D` gives C 2.5 % and D 10 %. At its end
 * is `|hold` while requests are to wait.
 *
 * @throws {OperatorError} `NOT_FOUND` when a set has no backend, `ARGUMENT_INVALID` for a weight or route out of range
 */
export function encodeRule(rule: RouteRule, backendOf: (set: SetName) => number | undefined): RouteEntry {
  const part = (set: SetName): string => {
    const backend = backendOf(set);
    if (backend !== undefined) return `b${backend}:${set}`;
    throw new OperatorError(
      "NOT_FOUND",
      `Cannot route to "${set}": it has no place in the router, it must be placed first`,
      {
        hint: "this is a fault of Bronze itself; report it",
      },
    );
  };
  const problem = problemOfRule(rule);
  if (problem !== undefined) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot use a rule with ${problem}`, {
      hint: "weights are in 1/10000 of the requests",
    });
  }
  const { canaries = [] } = rule;
  let sum = 0;
  const sums = canaries.length === 0 ? [0] : canaries.map(({ weight }) => (sum += weight));
  const others = canaries.map(({ set }) => `|${part(set)}`).join("");
  const hold = rule.hold === true ? holdMark : "";
  return { key: routeKey(rule.route), value: `${part(rule.stable)}:${sums.join(":")}${others}${hold}` };
}

/** The rule behind a map line, or undefined when the line is not one of ours. */
export function decodeRule(entry: RouteEntry): RouteRule | undefined {
  const match = /^b[0-9]+:([^:|]+)((?::[0-9]+){1,3})((?:\|b[0-9]+:[^:|]+){0,3})(\|hold)?$/.exec(entry.value);
  const slash = entry.key.indexOf("/");
  if (match === null || slash < 1) return undefined;
  const [, stable, sums = "", others = "", hold] = match;
  const host = entry.key.slice(0, slash);
  const upTo = sums.slice(1).split(":").map(Number);
  const sets = others.split("|").slice(1);
  const canaries = sets.map((other, index) => ({
    set: other.slice(other.indexOf(":") + 1) as SetName,
    weight: (upTo[index] ?? 0) - (upTo[index - 1] ?? 0),
  }));
  return {
    route: { host: host === "*" ? null : host, path: entry.key.slice(slash) },
    stable: stable as SetName,
    ...(canaries.length === 0 ? {} : { canaries }),
    ...(hold === undefined ? {} : { hold: true }),
  };
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when host or path could not stand in a map */
export function routeKey(route: Route): string {
  const host = route.host ?? "*";
  if (
    /^(\*|[a-z0-9._-]{1,253})$/.test(host) &&
    /^\/([!-~]{0,1000}\/)?$/.test(route.path) &&
    !/[;|\\#"']/.test(route.path)
  )
    return `${host}${route.path}`;
  throw new OperatorError(
    "ARGUMENT_INVALID",
    `Cannot route "${host}${route.path}": not a lower-case host and a path that begins and ends with "/"`,
    {
      hint: "write the host in lower case without a port, and a path of printable ASCII characters",
    },
  );
}

/** The map file's text; keys sorted, so equal rules give equal bytes. */
export function renderRoutes(entries: ReadonlyMap<string, string>): string {
  return [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key} ${value}\n`)
    .join("");
}

/** Reads a map file. */
export function parseRoutes(text: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) entries.set(line.slice(0, space), line.slice(space + 1));
  }
  return entries;
}
