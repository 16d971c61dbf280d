import {
  defaultEnvironmentSettings,
  revokedModes,
  trustModes,
  type EnvironmentSettings,
  type Route,
} from "../model/content.ts";
import type { Definition } from "../model/definition.ts";
import { parseEnvironmentName, type EnvironmentName } from "../model/names.ts";
import { parseDurationMs } from "../model/quantities.ts";
import { optional } from "./build.ts";
import { readConfig } from "./config.ts";
import { nearestName } from "../model/nearest.ts";
import { maxInstances } from "../model/processes.ts";
import { readLimits } from "./limits.ts";
import { keySets } from "./keys.ts";
import { readCounts, type Counts } from "./processes.ts";
import type { Place, Reader } from "./reader.ts";
import { readSecrets } from "./secrets.ts";
import { readStrategy } from "./strategy.ts";
import { readPositiveDuration } from "./run.ts";
import { readChecks } from "./tasks.ts";

type Environments = Definition["environments"];

/** What a definition says for all of its environments. */
export type SharedSettings = Pick<EnvironmentSettings, "route" | "checks" | "needs">;

/** Where an app's environments stand. */
export interface EnvironmentPlaces {
  /** Those that it has together with other apps: then it has no others. */
  readonly shared: Place | undefined;
  /** Put over those, key by key. */
  readonly own: Place | undefined;
}

/**
 * Reads `environments`; none gives one, `production`, with the defaults.
 *
 * @param counts numbers of instances of each process besides web
 */
export function readEnvironments(
  reader: Reader,
  places: EnvironmentPlaces,
  shared: SharedSettings,
  counts: Counts,
): Environments {
  const entriesAt = (place: Place | undefined): ReadonlyMap<string, Place> =>
    place === undefined ? new Map<string, Place>() : reader.map(place, null);
  const [common, own] = [entriesAt(places.shared), entriesAt(places.own)];
  for (const [name, field] of own) {
    if (common.size === 0 || common.has(name)) continue;
    const near = nearestName(name, [...common.keys()]);
    const advice = near === undefined ? `there are ${[...common.keys()].join(", ")}` : `did you mean "${near}"?`;
    reader.problemAt(field.offset, field.path, `there is no such environment at the top level; ${advice}`);
  }
  const entries = common.size === 0 ? own : common;
  if (entries.size === 0) {
    const processes = readCounts(reader, undefined, counts);
    const settings = { ...defaultEnvironmentSettings, ...(processes === undefined ? {} : { processes }), ...shared };
    return [{ name: parseEnvironmentName("production"), from: null, settings }];
  }
  const origins = new Map<string, Place>();
  const environments = [...entries].flatMap(([name, field]) => {
    const over = common.size === 0 ? undefined : own.get(name);
    const places: readonly [Place, ...Place[]] = over === undefined ? [field] : [field, over];
    return readEnvironment(reader, name, places, { shared, counts, origins }) ?? [];
  });
  checkOrigins(reader, environments, origins);
  return environments;
}

interface Given {
  readonly shared: SharedSettings;
  readonly counts: Counts;
  /** Where each `from` stands; filled as environments are read. */
  readonly origins: Map<string, Place>;
}

function readEnvironment(
  reader: Reader,
  text: string,
  places: readonly [Place, ...Place[]],
  { shared, counts, origins }: Given,
): Environments[number] | undefined {
  const [place] = places;
  const fields = new Map(places.flatMap((one) => [...reader.map(one, keySets.environment).entries()]));
  const routeField = fields.get("route");
  const rollback =
    optional(fields, "rollback", (field) => reader.map(field, keySets.rollback)) ?? new Map<string, Place>();
  const checks = optional(fields, "checks", (field) => readChecks(reader, field)) ?? shared.checks;
  const processes = readCounts(reader, fields.get("processes"), counts);
  const defaults = defaultEnvironmentSettings;
  const limits = optional(fields, "limits", (field) => readLimits(reader, field));
  const trust = optional(fields, "trust", (field) => reader.oneOf(field, trustModes));
  const revoked = optional(fields, "revoked", (field) => reader.oneOf(field, revokedModes));
  const settings: EnvironmentSettings = {
    instances:
      optional(fields, "instances", (field) => reader.number(field, { min: 1, max: maxInstances, integer: true })) ??
      defaults.instances,
    ...(processes === undefined ? {} : { processes }),
    strategy: optional(fields, "strategy", (field) => readStrategy(reader, field)) ?? defaults.strategy,
    deadlineMs: optional(fields, "deadline", (field) => readPositiveDuration(reader, field)) ?? defaults.deadlineMs,
    keepWarmMs: optional(rollback, "keepWarm", (field) => reader.parsed(field, parseDurationMs)) ?? defaults.keepWarmMs,
    withinMs: optional(rollback, "within", (field) => readPositiveDuration(reader, field)) ?? defaults.withinMs,
    watchMs: optional(rollback, "watch", (field) => reader.parsed(field, parseDurationMs)) ?? defaults.watchMs,
    route: routeField === undefined ? shared.route : readRoute(reader, routeField),
    ...(limits === undefined ? {} : { limits }),
    ...(shared.needs === undefined ? {} : { needs: shared.needs }),
    ...(checks === undefined || checks.length === 0 ? {} : { checks }),
    ...(trust === undefined ? {} : { trust }),
    ...(revoked === undefined ? {} : { revoked }),
  };
  const origin = fields.get("from");
  if (origin !== undefined) origins.set(text, origin);
  const from = optional(fields, "from", (field) => reader.parsed(field, parseEnvironmentName)) ?? null;
  const config = optional(fields, "config", (field) => readConfig(reader, field));
  const secrets = optional(fields, "secrets", (field) => readSecrets(reader, field));
  try {
    return {
      name: parseEnvironmentName(text),
      from,
      settings,
      ...(config === undefined ? {} : { config }),
      ...(secrets === undefined ? {} : { secrets }),
    };
  } catch {
    reader.problemAt(
      place.offset,
      place.path,
      "an environment's name is 1 to 20 lower-case letters and digits, beginning with a letter",
    );
    return undefined;
  }
}

/** Every `from` names another environment, and following them ends at one without. */
function checkOrigins(reader: Reader, environments: Environments, origins: ReadonlyMap<string, Place>): void {
  const fromOf = new Map<EnvironmentName, EnvironmentName | null>(environments.map(({ name, from }) => [name, from]));
  for (const { name, from } of environments) {
    const place = origins.get(name);
    if (from === null || place === undefined) continue;
    if (!fromOf.has(from)) {
      const near = nearestName(from, [...fromOf.keys()]);
      const advice = near === undefined ? `there are ${[...fromOf.keys()].join(", ")}` : `did you mean ${near}?`;
      reader.problem(place, `there is no environment "${from}"; ${advice}`);
      continue;
    }
    const chain: EnvironmentName[] = [name];
    let next: EnvironmentName | null = from;
    while (next !== null && !chain.includes(next)) {
      chain.push(next);
      next = fromOf.get(next) ?? null;
    }
    if (next === name) reader.problem(place, `leads back to where it began: ${[...chain, name].join(" from ")}`);
  }
}

/** Reads a route; host in lower case, path with a slash at both ends. `none`: null. */
export function readRoute(reader: Reader, place: Place): Route | null {
  if (!reader.isMap(place) && reader.isText(place, "none")) return null;
  const fields = reader.map(place, keySets.route);
  return {
    host: optional(fields, "host", (field) => readHost(reader, field)) ?? null,
    path: optional(fields, "path", (field) => readPrefix(reader, field)) ?? "/",
  };
}

function readHost(reader: Reader, place: Place): string | undefined {
  const host = reader.text(place)?.toLowerCase().replace(/\.$/, "");
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  if (host === undefined || (host.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(host))) return host;
  return reader.problem(place, "must be a host name without port, like shop.example");
}

function readPrefix(reader: Reader, place: Place): string | undefined {
  const path = reader.text(place);
  if (path === undefined) return undefined;
  if (!/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,200}$/.test(path) || /\/\/|\/\.\.?(\/|$)/.test(path)) {
    return reader.problem(place, "must be a path prefix that begins with /, like /api");
  }
  return path.endsWith("/") ? path : `${path}/`;
}
