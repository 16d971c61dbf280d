import { parseDefinition } from "../../definition/parse.ts";
import { hasSecretShape } from "./secrets.ts";
import { yamlMap, yamlWord } from "./text.ts";
import type { NotCarriedOver, Wishes } from "./proposal.ts";

/** Settings of another tool's file that a definition takes; those it does not are named. */
export function acceptable(wishes: Wishes): Wishes {
  const left: NotCarriedOver[] = [];
  const keep = <Value>(
    value: Value | null,
    what: string,
    where: string,
    line: (value: Value) => string,
  ): Value | null => {
    if (value === null || isTaken(line(value))) return value;
    left.push({ what, where, advice: "a definition takes no such value; say another in bronze.yaml" });
    return null;
  };
  const { file } = wishes;
  const checked: Wishes = {
    ...wishes,
    healthPath: keep(
      wishes.healthPath !== null && hasSecretShape(wishes.healthPath.value) ? null : wishes.healthPath,
      "the health path",
      wishes.healthPath?.from ?? file,
      ({ value }) => `run: { health: { path: ${yamlWord(value)} } }`,
    ),
    healthDeadline: keep(
      wishes.healthDeadline,
      "the start period",
      file,
      (value) => `run: { health: { deadline: ${value} } }`,
    ),
    host: keep(
      wishes.host,
      "the host",
      wishes.host?.from ?? file,
      ({ value }) => `route: { host: ${yamlWord(value)} }`,
    ),
    memory: keep(wishes.memory, "the limit of memory", file, (value) => `run: { resources: { memory: ${value} } }`),
    cpu: keep(wishes.cpu, "the limit of cpu", file, (value) => `run: { resources: { cpu: ${value} } }`),
    pids: keep(wishes.pids, "the limit of processes", file, (value) => `run: { resources: { pids: ${value} } }`),
    target: keep(wishes.target, "the target", file, (value) => `target: ${yamlWord(value)}`),
    args:
      keep(wishes.args, "build arguments", file, (value) =>
        Object.keys(value).length === 0 ? "" : `args: ${yamlMap(value)}`,
      ) ?? {},
  };
  return { ...checked, notCarriedOver: [...wishes.notCarriedOver, ...left] };
}

/** @param line a line of a definition, or of its build */
function isTaken(line: string): boolean {
  const inBuild = /^(target|args):/.test(line);
  try {
    parseDefinition(
      `app: a\nbuild: { dockerfile: D${inBuild ? `, ${line}` : ""} }\n${inBuild ? "" : line}\n`,
      "bronze.yaml",
    );
    return true;
  } catch {
    return false;
  }
}
