import type { InstanceName } from "../model/names.ts";
import type { Endpoint } from "../model/observation.ts";
import { positionIn } from "../rollout/sorted.ts";
import type { FleetInstance } from "./fleet.ts";

/** Instances of a set that have places in the router, and where they are: in one order, by name. */
export interface Places {
  readonly names: readonly InstanceName[];
  readonly endpoints: readonly Endpoint[];
}

/** After more changes than this at once, to look at all is no worse. */
const mostEdits = 100;

export const noPlaces: Places = { names: [], endpoints: [] };

/** @param endpoints in any order */
export function placesOf(endpoints: readonly Endpoint[]): Places {
  const sorted = endpoints.toSorted((a, b) => (a.instance < b.instance ? -1 : 1));
  return { names: sorted.map(({ instance }) => instance), endpoints: sorted };
}

/**
 * Places with some more and some less. Nobody else is looked at, so that it costs as much as changes, besides two copies.
 *
 * @param endpointOf where one that gets its place takes requests; undefined: nowhere (any more), and it gets none
 */
export function changedPlaces(
  places: Places,
  { add, remove }: { readonly add: readonly InstanceName[]; readonly remove: readonly InstanceName[] },
  endpointOf: (name: InstanceName) => Endpoint | undefined,
): Places {
  if (add.length + remove.length > mostEdits) {
    const all = new Map(places.endpoints.map((endpoint) => [endpoint.instance, endpoint]));
    for (const name of [...remove, ...add]) all.delete(name);
    return placesOf([...all.values(), ...add.flatMap((name) => endpointOf(name) ?? [])]);
  }
  const names = [...places.names];
  const endpoints = [...places.endpoints];
  const change = (name: InstanceName, endpoint: Endpoint | undefined): void => {
    const at = positionIn(names, name);
    const there = names[at] === name ? 1 : 0;
    names.splice(at, there, ...(endpoint === undefined ? [] : [name]));
    endpoints.splice(at, there, ...(endpoint === undefined ? [] : [endpoint]));
  };
  for (const name of remove) change(name, undefined);
  for (const name of add) change(name, endpointOf(name));
  return { names, endpoints };
}

/** Where an instance takes requests; undefined: nowhere. */
export function endpointOf(instance: FleetInstance | undefined): Endpoint | undefined {
  if (instance === undefined || instance.address === null) return undefined;
  const { name, address, port } = instance;
  return { instance: name, address, port };
}
