import { OperatorError } from "../../errors/operator-error.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import type { Endpoint, RoutedSet } from "../../ports/router.ts";

/** One used slot of a backend. */
export interface Slot extends Endpoint {
  /** 1-based: server `s<slot>`. */
  readonly slot: number;
  /** Takes no new requests. */
  readonly out: boolean;
}

/** One backend of the pool that a set has. */
export interface PlacedSet {
  /** 0-based: backend `b<backend>`. */
  readonly backend: number;
  readonly set: SetName;
  readonly slots: readonly Slot[];
  /** Slot given last: the next is looked for after it, so that a freed one rests longest. */
  readonly lastSlot: number;
}

/** What the router's configuration is rendered from; kept on disk. */
export interface PoolRecord {
  readonly version: 1;
  /** Port that clients reach; 0 until one is chosen. */
  readonly webPort: number;
  /** UDP port on loopback that takes the request log; 0 until one is chosen. */
  readonly logPort: number;
  readonly backends: number;
  readonly slotsEach: number;
  readonly lastBackend: number;
  readonly sets: readonly PlacedSet[];
}

const largestPool = { backends: 4096, slotsEach: 256 };

export const emptyRecord: PoolRecord = {
  version: 1,
  webPort: 0,
  logPort: 0,
  backends: 64,
  slotsEach: 16,
  lastBackend: -1,
  sets: [],
};

/**
 * Gives a set's endpoints their slots; instances that stay keep theirs, drained ones drained. Grows the pool's sizes where they do not
 * suffice (the caller then has to reload).
 *
 * @throws {OperatorError} `MACHINE_REFUSED` beyond 4096 sets or 256 instances of one set
 */
export function assignSlots(record: PoolRecord, wanted: RoutedSet): PoolRecord {
  const before = record.sets.find((placed) => placed.set === wanted.set);
  const others = record.sets.filter((placed) => placed.set !== wanted.set);
  if (wanted.endpoints.length === 0) return { ...record, sets: others };

  const slotsEach = grown(record.slotsEach, wanted.endpoints.length, largestPool.slotsEach);
  const backends =
    before === undefined ? grown(record.backends, others.length + 1, largestPool.backends) : record.backends;
  const backend =
    before?.backend ?? nextFree(record.lastBackend, backends, 0, new Set(others.map((placed) => placed.backend)));

  const kept = (before?.slots ?? []).filter((slot) =>
    wanted.endpoints.some((endpoint) => sameEndpoint(endpoint, slot)),
  );
  const slots: Slot[] = [...kept];
  const used = new Set((before?.slots ?? []).map((slot) => slot.slot));
  let lastSlot = before?.lastSlot ?? 0;
  for (const endpoint of wanted.endpoints) {
    if (kept.some((slot) => sameEndpoint(endpoint, slot))) continue;
    // A slot that this very call frees is used again only when no other is left.
    const taken = used.size < slotsEach ? used : new Set(slots.map((slot) => slot.slot));
    const slot = nextFree(lastSlot, slotsEach, 1, taken);
    used.add(slot);
    slots.push({ instance: endpoint.instance, address: endpoint.address, port: endpoint.port, slot, out: false });
    lastSlot = slot;
  }
  slots.sort((a, b) => a.slot - b.slot);
  const sets = [...others, { backend, set: wanted.set, slots, lastSlot }].sort((a, b) => a.backend - b.backend);
  return { ...record, backends, slotsEach, lastBackend: before === undefined ? backend : record.lastBackend, sets };
}

/**
 * The record a router that starts anew begins with: only instances that run keep their slots, and exactly the sets that
 * have some or that a route leads to have a place.
 */
export function recordAtStart(
  record: PoolRecord,
  running: ReadonlySet<InstanceName>,
  routed: ReadonlySet<SetName>,
): PoolRecord {
  const kept = record.sets
    .map((placed) => ({ ...placed, slots: placed.slots.filter(({ instance }) => running.has(instance)) }))
    .filter(({ set, slots }) => slots.length > 0 || routed.has(set));
  let next: PoolRecord = { ...record, sets: kept };
  for (const set of [...routed].sort()) {
    if (next.sets.some((placed) => placed.set === set)) continue;
    const backends = grown(next.backends, next.sets.length + 1, largestPool.backends);
    const taken = new Set(next.sets.map((placed) => placed.backend));
    const backend = nextFree(next.lastBackend, backends, 0, taken);
    const sets = [...next.sets, { backend, set, slots: [], lastSlot: 0 }].sort((a, b) => a.backend - b.backend);
    next = { ...next, backends, lastBackend: backend, sets };
  }
  return next;
}

/** Marks instances of a set as taking no new requests. */
export function takeOut(record: PoolRecord, set: SetName, instances: readonly InstanceName[]): PoolRecord {
  const sets = record.sets.map((placed) =>
    placed.set === set
      ? {
          ...placed,
          slots: placed.slots.map((slot) => (instances.includes(slot.instance) ? { ...slot, out: true } : slot)),
        }
      : placed,
  );
  return { ...record, sets };
}

/** @throws {OperatorError} `ROUTER_FAILED` when the text is not a record */
export function parseRecord(text: string): PoolRecord {
  try {
    const value = JSON.parse(text) as PoolRecord;
    if (
      value.version === 1 &&
      Array.isArray(value.sets) &&
      [value.webPort, value.logPort, value.backends, value.slotsEach].every(Number.isInteger)
    )
      return value;
    throw new Error(`version ${String(value.version)}, 1 needed`);
  } catch (cause) {
    throw new OperatorError("ROUTER_FAILED", "Cannot read the router's record: it is not what was written", {
      hint: "remove STATE/router; the daemon places everything anew",
      cause,
    });
  }
}

function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.instance === b.instance && a.address === b.address && a.port === b.port;
}

function grown(size: number, needed: number, largest: number): number {
  let result = size;
  while (result < needed) result *= 2;
  if (result <= largest) return result;
  throw new OperatorError(
    "MACHINE_REFUSED",
    `Cannot place a set: ${needed} places needed, the router has at most ${largest}`,
    {
      hint: "run fewer instances or sets on this machine",
    },
  );
}

function nextFree(last: number, size: number, first: number, taken: ReadonlySet<number>): number {
  for (let step = 1; step <= size; step += 1) {
    const candidate = ((last - first + step) % size) + first;
    if (!taken.has(candidate)) return candidate;
  }
  throw new RangeError("no free place although the pool was grown");
}
