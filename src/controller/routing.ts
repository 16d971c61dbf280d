import type { EventData } from "../ledger/event.ts";
import { settingsFor, type EnvironmentRecord, type LedgerState, type ReleaseRecord } from "../ledger/state.ts";
import { formatRoute, type Route } from "../model/content.ts";
import { webProcess, type InstanceName, type SetName } from "../model/names.ts";
import { leadsTo, setsOfRule } from "../model/route-rule.ts";
import type { RouteRule } from "../model/observation.ts";
import { provenAtSwitch } from "../rollout/plan.ts";
import type { Step } from "../rollout/step.ts";
import { yieldingProcesses } from "../rollout/volumes.ts";
import { baselineWindowMs } from "../rollout/watch.ts";
import type { Router } from "../ports/router.ts";
import { decisionEvents } from "./decision-events.ts";
import type { ExecutorOptions } from "./executor.ts";
import { changedPlaces, endpointOf, noPlaces, placesOf, type Places } from "./places.ts";
import { sleep } from "./sleep.ts";

/** Time between two looks at a router that does not answer, in ms. */
const observeAgainMs = 250;

/**
 * Which instances have places in the router, and what answers each route. What is in effect is kept here; a new process
 * asks the router again.
 */
export class Routing {
  /** Rules in effect, by route. */
  readonly rules = new Map<string, RouteRule>();
  /** Instances the router knows, by set; sorted. */
  readonly placed = new Map<SetName, readonly InstanceName[]>();
  /** Those of them that get no new requests any more. */
  readonly drained = new Set<InstanceName>();
  /** The same, with where they are. */
  readonly #places = new Map<SetName, Places>();
  /** When requests were led away from sets that have places, ms since the epoch. */
  readonly #leftAtMs = new Map<SetName, number>();
  /** Rules that the router was asked for and has not answered, by route: they may come into effect at any moment. */
  readonly #issued = new Map<string, RouteRule>();
  readonly #options: ExecutorOptions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Learns from the router what is in effect. */
  async adopt(): Promise<void> {
    const observed = await this.#options.ports.router.observe();
    this.rules.clear();
    this.placed.clear();
    this.#places.clear();
    this.drained.clear();
    for (const rule of observed.rules) this.rules.set(formatRoute(rule.route), rule);
    for (const { set, endpoints, drained = [] } of observed.sets) {
      this.#know(set, placesOf(endpoints), []);
      for (const name of drained) this.drained.add(name);
    }
    // When they were is not known: as late as may be.
    for (const { set } of observed.sets)
      if (!observed.rules.some((rule) => leadsTo(rule, set))) this.#leftAtMs.set(set, this.#options.ports.clock.now());
  }

  /** Rules that are in effect, and after them those that may be at any moment. */
  known(): readonly RouteRule[] {
    return this.#issued.size === 0 ? [...this.rules.values()] : [...this.rules.values(), ...this.#issued.values()];
  }

  /** When the last request may have come to a set that no rule leads to; undefined: none has, as far as is known. */
  leftAtMs(set: SetName): number | undefined {
    return this.#leftAtMs.get(set);
  }

  /** Gives instances of a set their places and takes them from others; where none is left the set's own place is freed. */
  async place(step: Extract<Step, { kind: "place" }>): Promise<void> {
    const { ports, fleet, signal } = this.#options;
    const next = changedPlaces(this.#places.get(step.set) ?? noPlaces, step, (name) => endpointOf(fleet.get(name)));
    // From here on nobody counts on those that lose theirs.
    if (step.remove.length > 0) {
      // As a rule nobody comes as they go: then who is left is known.
      const left = step.add.length === 0 ? next.names : without(this.placed.get(step.set) ?? [], step.remove);
      this.placed.set(step.set, left);
      this.#suspect(step.set, step.remove);
    }
    try {
      await ports.router.place({ set: step.set, endpoints: next.endpoints }, signal);
    } catch (error) {
      // It may have come into effect or not: shares that are worked out from too few places take requests from the rest.
      const observed = await this.#observed();
      if (observed !== undefined) {
        const found = observed.sets.find(({ set }) => set === step.set)?.endpoints ?? [];
        const places = placesOf(found);
        this.#know(step.set, places, without(this.placed.get(step.set) ?? [], places.names));
      }
      throw error;
    }
    this.#know(step.set, next, step.remove);
  }

  /** Gives instances no new requests any more, for as long as they have their places. */
  async drain(set: SetName, instances: readonly InstanceName[]): Promise<void> {
    // From here on nobody counts on them.
    for (const instance of instances) this.drained.add(instance);
    try {
      await this.#options.ports.router.drain(set, instances);
    } catch (error) {
      const observed = await this.#observed();
      const found = observed?.sets.find((one) => one.set === set)?.drained ?? [];
      if (observed !== undefined)
        for (const instance of instances) if (!found.includes(instance)) this.drained.delete(instance);
      throw error;
    }
  }

  /** A set has no place any more. */
  forget(set: SetName): void {
    for (const name of this.placed.get(set) ?? []) this.drained.delete(name);
    this.placed.delete(set);
    this.#places.delete(set);
    this.#leftAtMs.delete(set);
  }

  /** Remembers which of a set's instances have places. @param lost those that had them */
  #know(set: SetName, places: Places, lost: readonly InstanceName[]): void {
    if (places.names.length === 0) this.forget(set);
    else {
      this.placed.set(set, places.names);
      this.#places.set(set, places);
    }
    for (const name of lost) this.drained.delete(name);
    this.#suspect(set, lost);
  }

  /** What was known about instances does not hold any more. */
  #suspect(set: SetName, names: readonly InstanceName[]): void {
    const members = this.#options.fleet.members(set);
    for (const name of names) members?.suspect(name);
  }

  /** Lets a release answer its route, and records that it does. */
  async switch(record: EnvironmentRecord, step: Extract<Step, { kind: "switch" }>): Promise<void> {
    const { recorder, ports, share, askedAt, watched } = this.#options;
    const { app, environment, live } = record;
    const release = record.releases.get(step.release);
    const set = record.sets.get(step.set);
    if (release === undefined || set === undefined || record.active !== step.release) return;
    const from = live?.set ?? null;
    const warm = set.role === "warm";
    const { route } = settingsFor(record, set.name);
    // Why is told with the intent: whoever carries it out in the end need not know any more.
    if (record.switching === null)
      recorder.append(...decisionEvents(record, step.release, step.decisions), {
        kind: "traffic.switching",
        app,
        environment,
        release: step.release,
        set: set.name,
        from,
      });
    if (route !== null) await this.change(route, { route, stable: set.name });
    // Ended meanwhile: what answers the route is put right by the next plan.
    if (record.active !== step.release) return;
    const asked = askedAt(record, step.release);
    // A daemon that was started since knows only what the ledger tells of the request.
    const tookMs = asked === undefined ? ports.clock.now() - release.sinceMs : ports.clock.monotonic() - asked;
    const elapsedMs = Math.max(0, Number(tookMs.toFixed(2)));
    const baseline = from === null ? { requests: 0, errors: 0 } : share(from, baselineWindowMs);
    const events: EventData[] = [];
    const before = record.watch === null ? undefined : record.releases.get(record.watch.release);
    if (before !== undefined) events.push(endOfWatch(record, before, release, watched(record)));
    const { settings, cause } = release;
    if (settings !== null) events.push({ kind: "environment.changed", app, environment, settings, cause });
    events.push({
      kind: "traffic.switched",
      app,
      environment,
      release: step.release,
      set: set.name,
      from,
      elapsedMs,
      warm,
      baseline,
    });
    const proven = provenAtSwitch(record, release);
    if (proven !== undefined)
      events.push({ kind: "release.proven", app, environment, release: step.release, reason: proven });
    recorder.append(...events);
  }

  /** What is in effect, as soon as the router answers; undefined: this daemon ends before. */
  async #observed(): Promise<Awaited<ReturnType<Router["observe"]>> | undefined> {
    const { ports, signal } = this.#options;
    while (!signal.aborted) {
      try {
        return await ports.router.observe();
      } catch {
        await sleep(ports.clock, observeAgainMs, signal);
      }
    }
    return undefined;
  }

  /** Changes what answers a route; null: nothing. */
  async change(route: Route, rule: RouteRule | null): Promise<void> {
    const { router } = this.#options.ports;
    const key = formatRoute(route);
    if (rule !== null) this.#issued.set(key, rule);
    try {
      await router.route(route, rule, this.#options.signal);
    } catch (error) {
      // It may have come into effect or not: only the router knows. Until it tells, nothing is taken from either set.
      const observed = await this.#observed();
      const found = observed?.rules.find((one) => formatRoute(one.route) === key);
      if (found !== undefined) this.#lead(key, found);
      throw error;
    } finally {
      // Another one may have been asked for meanwhile.
      if (this.#issued.get(key) === rule) this.#issued.delete(key);
    }
    this.#lead(key, rule);
  }

  #lead(key: string, rule: RouteRule | null): void {
    const before = this.rules.get(key);
    if (rule === null) this.rules.delete(key);
    else this.rules.set(key, rule);
    if (before === undefined) return;
    for (const set of setsOfRule(before))
      if (rule === null || !leadsTo(rule, set)) this.#leftAtMs.set(set, this.#options.ports.clock.now());
  }
}

/** Names of the first list that the second has not. Both sorted. */
function without(names: readonly InstanceName[], others: readonly InstanceName[]): readonly InstanceName[] {
  let at = 0;
  return names.filter((name) => {
    while (at < others.length && (others[at] ?? name) < name) at += 1;
    return others[at] !== name;
  });
}

/**
 * What becomes of a release under watch when another goes live: a rollback takes it back, anything else proves it, unless
 * it looks bad at that moment.
 */
function endOfWatch(
  record: EnvironmentRecord,
  watched: ReleaseRecord,
  next: ReleaseRecord,
  verdict: Step | undefined,
): EventData {
  const { app, environment } = record;
  const { held } = record.watch ?? { held: null };
  if (watched.type === "deploy" && held !== null && next.type === "deploy") {
    const reason = `replaced by v${next.number} while it was held for a person: ${held.reason}`;
    return { kind: "release.taken_back", app, environment, release: watched.number, figures: null, reason };
  }
  if (verdict?.kind === "take-back" && next.type === "deploy") {
    const reason = `replaced by v${next.number} as it was to be taken back: ${verdict.reason}`;
    return { kind: "release.taken_back", app, environment, release: watched.number, figures: verdict.figures, reason };
  }
  if (next.type === "rollback" && watched.type === "deploy") {
    return {
      kind: "release.taken_back",
      app,
      environment,
      release: watched.number,
      figures: null,
      reason: `rolled back by ${next.cause.who} while it was watched`,
    };
  }
  return { kind: "release.proven", app, environment, release: watched.number, reason: "replaced" };
}

/** What answers each route as the ledger has it. A switch that was begun is not in it: it is done again. */
export function liveRules({ environments }: LedgerState): readonly RouteRule[] {
  return [...environments.values()].flatMap((record) => {
    const { live, settings, sets } = record;
    if (live === null || settings.route === null) return [];
    const set = sets.get(live.set);
    const hold = set !== undefined && yieldingProcesses(record, set).has(webProcess);
    return [{ route: settings.route, stable: live.set, ...(hold ? { hold } : {}) }];
  });
}
