import semver from "semver";
import { type Folder, readText } from "./folder.ts";

/** The version of a runtime, as an image's tag has it: `22`, `22.11.0`, `3.12`. */
export interface RuntimeVersion {
  readonly tag: string;
  readonly why: string;
  /** Nothing in the project says it. */
  readonly guessed: boolean;
}

/** Majors of Node with long-term support, the one to choose first. */
const nodeMajors = [26, 24, 22, 20, 18];
/** Minors of Python 3, the one to choose first: the newest that most packages have binaries for. */
const pythonMinors = [13, 12, 14, 11, 10, 9, 8];

/** What one of the files of version managers says about a tool. */
function pinnedVersion(folder: Folder, tool: string, files: readonly string[]): RuntimeVersion | undefined {
  for (const file of files) {
    const text = readText(folder, file)?.trim().split("\n")[0]?.trim() ?? "";
    const version = /^(?:v|python-)?([0-9]+(?:\.[0-9]+){0,2})$/.exec(text)?.[1];
    if (version !== undefined) return { tag: version, why: `${file} says so`, guessed: false };
  }
  for (const line of (readText(folder, ".tool-versions") ?? "").split("\n")) {
    const [name, version = ""] = line.trim().split(/\s+/);
    if (name === tool && /^[0-9]+(\.[0-9]+){0,2}$/.test(version))
      return { tag: version, why: ".tool-versions says so", guessed: false };
  }
  return undefined;
}

/** @param ranges what package.json says: engines.node, volta.node, the version of @types/node */
export function nodeVersion(
  folder: Folder,
  ranges: { readonly engines: string | null; readonly volta: string | null; readonly types: string | null },
): RuntimeVersion {
  const pinned = pinnedVersion(folder, "nodejs", [".nvmrc", ".node-version"]);
  if (pinned !== undefined) return pinned;
  if (ranges.volta !== null && semver.valid(ranges.volta) !== null)
    return { tag: ranges.volta, why: "volta.node in package.json says so", guessed: false };
  const engines = ranges.engines === null ? undefined : newestNode(ranges.engines);
  if (engines !== undefined)
    return { tag: engines, why: `engines.node in package.json is ${ranges.engines}`, guessed: false };
  const types = ranges.types === null ? undefined : newestNode(ranges.types);
  if (types !== undefined) return { tag: types, why: `package.json has @types/node ${ranges.types}`, guessed: false };
  return {
    tag: String(nodeMajors[0]),
    why: "nothing says another; it is the one with long-term support",
    guessed: true,
  };
}

/** The major to choose of those that a range takes, or the lowest version in it. */
function newestNode(range: string): string | undefined {
  if (semver.validRange(range) === null) return undefined;
  const major = nodeMajors.find((one) => semver.intersects(range, `${one}.x`));
  return major === undefined ? String(semver.minVersion(range)?.major ?? nodeMajors[0]) : String(major);
}

/** Whether a version of Node, `18.20.0`, is one that the project takes. */
export function nodeFits(wanted: RuntimeVersion, engines: string | null, version: string): boolean {
  if (engines !== null && semver.validRange(engines) !== null) return semver.satisfies(version, engines);
  return wanted.guessed || semver.satisfies(version, wanted.tag);
}

/** @param requires `requires-python` of pyproject.toml, or what Poetry and Pipenv have for it, with where it stands */
export function pythonVersion(
  folder: Folder,
  requires: { readonly range: string; readonly from: string } | null,
): RuntimeVersion {
  const pinned = pinnedVersion(folder, "python", [".python-version", "runtime.txt"]);
  if (pinned !== undefined) return pinned;
  const minor = requires === null ? undefined : pythonMinors.find((one) => pythonTakes(requires.range, one));
  if (requires !== null && minor !== undefined)
    return { tag: `3.${minor}`, why: `${requires.from} is ${requires.range}`, guessed: false };
  return { tag: `3.${pythonMinors[0]}`, why: "nothing says another", guessed: true };
}

/** Whether some 3.MINOR is in a range of PEP 440, or one with a caret as Poetry writes it. */
export function pythonTakes(range: string, minor: number): boolean {
  return range.split(",").every((clause) => {
    const match = /^\s*(===?|~=|!=|<=|>=|<|>|\^|~)?\s*v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+|\*))?(\.\*)?\s*$/.exec(
      clause,
    );
    if (match === null) return clause.trim() === "" || clause.trim() === "*";
    const [, operator = "==", major = "", minorText, patch] = match;
    const other = Number(minorText ?? 0);
    const compared = Math.sign(3 - Number(major)) || (minorText === undefined ? 0 : Math.sign(minor - other));
    if (operator === ">=" || operator === ">") return compared >= 0;
    if (operator === "<") return compared < 0 || (compared === 0 && patch !== undefined && patch !== "0");
    if (operator === "<=") return compared <= 0;
    if (operator === "!=") return !(compared === 0 && (patch === undefined || patch === "*"));
    if (operator === "^") return Number(major) === 3 && minor >= other;
    // `~=3.10` is any 3 from 3.10 on, `~=3.10.2` any 3.10.
    if (operator === "~=" && patch === undefined) return Number(major) === 3 && minor >= other;
    return compared === 0;
  });
}
