import { formatRoute } from "../model/content.ts";
import type { Definition, ListedDefinition } from "../model/definition.ts";
import { parseAppName, type AppName } from "../model/names.ts";
import { readApp, type AppRead } from "./app.ts";
import { keySets } from "./keys.ts";
import { needProblems } from "./needs.ts";
import type { Place, Reader } from "./reader.ts";
import { checkVolumesOfApps } from "./volumes.ts";

/** Most apps that are defined together. */
export const mostApps = 64;

/**
 * Reads `apps:` as a mapping of name and body. What stands at the top level under `environments:` holds for each app; what
 * the app says itself of an environment is put over it, key by key.
 */
export function readApps(reader: Reader, place: Place, shared: Place | undefined): readonly AppRead[] {
  const entries = [...reader.map(place, null).entries()];
  if (entries.length === 0) reader.problem(place, "names no app; write NAME: { build: … } for each");
  if (entries.length > mostApps) reader.problem(place, `has ${entries.length} apps, at most ${mostApps} taken`);
  const read = entries.slice(0, mostApps).flatMap(([text, field]) => {
    const app = nameOf(reader, text, field);
    return readApp(reader, field, reader.map(field, keySets.apps), { app, shared }) ?? [];
  });
  const apps = entries.map(([text]) => text as AppName);
  for (const { place: at, message } of needProblems(
    apps,
    read.flatMap(({ needs }) => needs),
  ))
    reader.problemHere(at, message);
  checkRoutes(reader, new Map(entries), read);
  checkVolumesOfApps(
    reader,
    read.map(({ definition }) => definition),
    new Map(entries),
  );
  return read;
}

function nameOf(reader: Reader, text: string, field: Place): AppName | undefined {
  try {
    return parseAppName(text);
  } catch {
    reader.problemAt(
      field.offset,
      field.path,
      "an app's name is 1 to 32 lower-case letters, digits and hyphens, beginning with a letter",
    );
    return undefined;
  }
}

/** A route has one owner; the default one, which answers everything, is most often meant by none but one. */
function checkRoutes(reader: Reader, entries: ReadonlyMap<string, Place>, read: readonly AppRead[]): void {
  const owners = new Map<string, Definition["app"]>();
  for (const { definition } of read) {
    for (const { name, settings } of definition.environments) {
      if (settings.route === null) continue;
      const key = `${name} ${formatRoute(settings.route)}`;
      const owner = owners.get(key);
      const field = entries.get(definition.app);
      if (owner === undefined) owners.set(key, definition.app);
      else if (owner !== definition.app && field !== undefined)
        reader.problemAt(
          field.offset,
          field.path,
          `route ${formatRoute(settings.route)} in ${name} is ${owner}'s; give one a route: { host: … } or { path: … } of its own, or route: none`,
        );
    }
  }
}

/** Reads `apps:` as a list of definition files and folders that hold one. */
export function readList(reader: Reader, place: Place): readonly ListedDefinition[] {
  const items = reader.list(place);
  if (items.length === 0) reader.problem(place, "names no definition");
  if (items.length > mostApps) reader.problem(place, `has ${items.length} definitions, at most ${mostApps} taken`);
  return items.slice(0, mostApps).flatMap((item) => {
    const path = reader.text(item);
    if (path === undefined) return [];
    if (path.startsWith("/"))
      return reader.problem(item, "must be a path relative to this file, like ./db or db/bronze.yaml") ?? [];
    const { line, column } = reader.at(item);
    return { path, line, column };
  });
}
