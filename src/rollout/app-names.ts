import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import { webProcess, type AppName } from "../model/names.ts";
import type { AppAddresses } from "../model/observation.ts";
import type { InstanceView } from "./view.ts";
import { isUsable } from "./ready.ts";

/**
 * What an app's name stands for inside its environment: the addresses of its live instances that can be used, and of those
 * that share its requests while a rollout goes a few at a time. Where none can be used, those that served before: a wrong
 * answer is better than none, as with the router.
 *
 * @param instances those of the record
 * @returns addresses sorted; undefined where the name stands for nobody
 */
export function addressesOfApp(
  { app, live, sets }: EnvironmentRecord,
  instances: readonly InstanceView[],
): AppAddresses | undefined {
  const set = live === null ? undefined : sets.get(live.set);
  if (set === undefined || !isListed(app)) return undefined;
  const running = instances.filter((one) => {
    const own = one.set === set.name ? set : sets.get(one.set);
    const serves = own === set || (own !== undefined && sharesRequests(own) && own.proven.has(one.name));
    return serves && one.phase === "running" && one.process === webProcess && one.address !== null;
  });
  const usable = running.filter(isUsable);
  const staying = usable.filter(({ name, set: own }) => sets.get(own)?.condemned.has(name) !== true);
  const served = running.filter(({ name }) => set.proven.has(name));
  const chosen = [staying, usable, served].find((some) => some.length > 0) ?? [];
  const addresses = chosen.flatMap(({ address }) => address ?? []).sort();
  return addresses.length === 0 ? undefined : { app, addresses };
}

/** Whether a set serves beside what is live, instance by instance. */
function sharesRequests({ role, count }: SetRecord): boolean {
  return role === "leaving" || (role === "next" && count !== null);
}

/** Apps of which a live instance can be used. @param records all of one environment */
export function servingApps(
  records: readonly EnvironmentRecord[],
  instances: readonly InstanceView[],
): ReadonlySet<AppName> {
  const usable = new Set(instances.filter((one) => one.process === webProcess && isUsable(one)).map(({ set }) => set));
  return new Set(records.flatMap(({ app, live }) => (live !== null && usable.has(live.set) ? app : [])));
}

/** What every instance calls itself is no app's. */
function isListed(app: AppName): boolean {
  return !(["localhost", "ip6-localhost", "ip6-loopback"] as readonly string[]).includes(app);
}
