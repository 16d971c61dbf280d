import type { EnvironmentLimits, ResourceSettings } from "../model/content.ts";
import { formatBytes } from "../model/quantities.ts";
import { optional } from "./build.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";
import { readMemory } from "./run.ts";

/** Reads `limits` of an environment; undefined when nothing is limited. */
export function readLimits(reader: Reader, place: Place): EnvironmentLimits | undefined {
  const fields = reader.map(place, keySets.limits);
  const limits: EnvironmentLimits = {
    memoryBytes: optional(fields, "memory", (field) => readMemory(reader, field)) ?? null,
    cpu: optional(fields, "cpu", (field) => reader.number(field, { min: 0.01, max: 1024, integer: false })) ?? null,
    pids: optional(fields, "pids", (field) => reader.number(field, { min: 1, max: 4_194_304, integer: true })) ?? null,
  };
  return fields.size === 0 ? undefined : limits;
}

/** What one instance may have beyond what all of its environment have together, in words; undefined: nothing. */
export function beyondLimits(one: ResourceSettings, all: EnvironmentLimits): string | undefined {
  if (one.memoryBytes !== null && all.memoryBytes !== null && one.memoryBytes > all.memoryBytes)
    return `${formatBytes(one.memoryBytes)} of memory for one instance, ${formatBytes(all.memoryBytes)} for all`;
  if (one.cpu !== null && all.cpu !== null && one.cpu > all.cpu)
    return `${one.cpu} CPUs for one instance, ${all.cpu} for all`;
  return undefined;
}
