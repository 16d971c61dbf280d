import { defaultEnvironmentSettings } from "../model/content.ts";
import type { Definition, NeedPlace } from "../model/definition.ts";
import type { AppName } from "../model/names.ts";
import { optional, readBuild } from "./build.ts";
import { readConfig } from "./config.ts";
import { readEnvironments, readRoute } from "./environments.ts";
import { beyondLimits } from "./limits.ts";
import { readNeeds } from "./needs.ts";
import { readProcesses } from "./processes.ts";
import type { Place, Reader } from "./reader.ts";
import { readSecrets, refuseBoth, withSecrets } from "./secrets.ts";
import { readChecks, readRelease, readTests } from "./tasks.ts";
import { checkVolumes } from "./volumes.ts";

/** One app as it was read, and where it says what it needs. */
export interface AppRead {
  readonly definition: Definition;
  readonly needs: readonly NeedPlace[];
}

export interface AppInput {
  /** Undefined: its name is a problem already. */
  readonly app: AppName | undefined;
  /** `environments` that it shares with the other apps of the definition. */
  readonly shared: Place | undefined;
}

/** Reads everything that is said of one app; undefined when nothing can come of it. */
export function readApp(
  reader: Reader,
  place: Place,
  fields: ReadonlyMap<string, Place>,
  { app, shared }: AppInput,
): AppRead | undefined {
  const buildField = fields.get("build");
  const build =
    buildField === undefined
      ? reader.problem(place, "build: is missing; it says what to build")
      : readBuild(reader, buildField);
  const routeField = fields.get("route");
  const route = routeField === undefined ? defaultEnvironmentSettings.route : readRoute(reader, routeField);
  const release = optional(fields, "release", (field) => readRelease(reader, field));
  const processes = readProcesses(reader, fields);
  const run = { ...processes.run, ...(release === undefined ? {} : { release }) };
  const tests = optional(fields, "tests", (field) => readTests(reader, field)) ?? [];
  const checks = optional(fields, "checks", (field) => readChecks(reader, field)) ?? [];
  const config = optional(fields, "config", (field) => readConfig(reader, field));
  const needs = optional(fields, "needs", (field) => readNeeds(reader, field, app)) ?? [];
  const ofAll = {
    route,
    ...(checks.length === 0 ? {} : { checks }),
    ...(needs.length === 0 ? {} : { needs: needs.map(({ need }) => need).sort() }),
  };
  const places = { shared, own: fields.get("environments") };
  const secrets = optional(fields, "secrets", (field) => readSecrets(reader, field));
  const written = readEnvironments(reader, places, ofAll, processes.counts);
  const environments = written.map((environment) => withSecrets(environment, secrets));
  for (const environment of environments) refuseBoth(reader, place, environment, config);
  for (const { name, settings } of environments) {
    const beyond = settings.limits === undefined ? undefined : beyondLimits(run.resources, settings.limits);
    if (beyond !== undefined)
      reader.problem(fields.get("run") ?? place, `asks for more than environments.${name}.limits leave: ${beyond}`);
  }
  if (app !== undefined) checkVolumes(reader, place, { app, run, environments });
  if (app === undefined || build === undefined) return undefined;
  const definition: Definition = {
    app,
    build,
    run,
    ...(tests.length === 0 ? {} : { tests }),
    ...(config === undefined ? {} : { config }),
    environments,
  };
  return { definition, needs };
}
