import { defaultRunSettings, type ResourceSettings } from "../model/content.ts";
import type { DefinedRunSettings } from "../model/definition.ts";
import { parseDurationMs, parseSizeBytes } from "../model/quantities.ts";
import { optional, portRange, readAbsolute, readCommand } from "./build.ts";
import { capabilityNames } from "./capabilities.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";
import { readVolumes } from "./volumes.ts";

/** Reads `run`; an absent place gives the defaults. */
export function readRun(reader: Reader, place: Place | undefined): DefinedRunSettings {
  const fields = place === undefined ? new Map<string, Place>() : reader.map(place, keySets.run);
  const health = optional(fields, "health", (field) => reader.map(field, keySets.health)) ?? new Map<string, Place>();
  const duration = (from: ReadonlyMap<string, Place>, name: string): number | undefined =>
    optional(from, name, (field) => reader.parsed(field, parseDurationMs));
  const defaults = defaultRunSettings;
  const tmpfs = optional(fields, "tmpfs", (field) => readTmpfs(reader, field)) ?? defaults.tmpfs;
  const volumes = optional(fields, "volumes", (field) => readVolumes(reader, field, tmpfs));
  return {
    command: optional(fields, "command", (field) => readCommand(reader, field)) ?? defaults.command,
    port: optional(fields, "port", (field) => reader.number(field, portRange)) ?? null,
    health: {
      path: optional(health, "path", (field) => readHealthPath(reader, field)) ?? null,
      ...(optional(health, "tcp", (field) => readTcp(reader, field, health)) === true ? { tcp: true } : {}),
      deadlineMs: optional(health, "deadline", (field) => readPositiveDuration(reader, field)) ?? null,
    },
    drainMs: duration(fields, "drain") ?? defaults.drainMs,
    minReadyMs: duration(fields, "minReady") ?? defaults.minReadyMs,
    resources: readResources(reader, fields),
    capabilities: optional(fields, "capabilities", (field) => readCapabilities(reader, field)) ?? defaults.capabilities,
    tmpfs,
    ...(volumes === undefined ? {} : { volumes }),
  };
}

/** Reads `resources` among the keys of a process. */
export function readResources(reader: Reader, process: ReadonlyMap<string, Place>): ResourceSettings {
  const fields =
    optional(process, "resources", (field) => reader.map(field, keySets.resources)) ?? new Map<string, Place>();
  const defaults = defaultRunSettings.resources;
  return {
    memoryBytes: optional(fields, "memory", (field) => readMemory(reader, field)) ?? defaults.memoryBytes,
    cpu:
      optional(fields, "cpu", (field) => reader.number(field, { min: 0.01, max: 1024, integer: false })) ??
      defaults.cpu,
    pids:
      optional(fields, "pids", (field) => reader.number(field, { min: 1, max: 4_194_304, integer: true })) ??
      defaults.pids,
  };
}

/** A duration that is not zero. */
export function readPositiveDuration(reader: Reader, place: Place): number | undefined {
  const ms = reader.parsed(place, parseDurationMs);
  return ms === 0 ? reader.problem(place, "must be longer than 0") : ms;
}

function readTcp(reader: Reader, place: Place, health: ReadonlyMap<string, Place>): boolean | undefined {
  const tcp = reader.boolean(place);
  if (tcp !== true || !health.has("path")) return tcp;
  return reader.problem(place, "is for what does not speak HTTP; with a path, leave it out");
}

function readHealthPath(reader: Reader, place: Place): string | undefined {
  const path = reader.text(place);
  if (path === undefined || /^\/[\x21-\x7e]{0,500}$/.test(path)) return path;
  return reader.problem(place, "must begin with / and hold no spaces");
}

export function readMemory(reader: Reader, place: Place): number | undefined {
  const bytes = reader.parsed(place, parseSizeBytes);
  if (bytes === undefined || bytes >= 4 * 1024 * 1024) return bytes;
  return reader.problem(place, "must be at least 4Mi; nothing starts with less");
}

function readCapabilities(reader: Reader, place: Place): readonly string[] {
  const names = reader.list(place).flatMap((item) => {
    const text = reader.text(item);
    if (text === undefined) return [];
    const name = text.startsWith("CAP_") ? text : `CAP_${text}`;
    return capabilityNames.has(name) ? name : (reader.problem(item, `"${text}" is not a Linux capability`) ?? []);
  });
  return [...new Set(names)].sort();
}

function readTmpfs(reader: Reader, place: Place): readonly string[] {
  const paths = reader.list(place).flatMap((item) => {
    const path = readAbsolute(reader, item);
    if (path === undefined) return [];
    if (path === "/" || /^\/(proc|sys|dev)(\/|$)/.test(path)) return reader.problem(item, "cannot be a tmpfs") ?? [];
    return path;
  });
  return [...new Set(paths)].filter((path) => path !== "/tmp").sort();
}
