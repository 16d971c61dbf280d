import type { ExpectedObservation, InstanceObservation } from "../model/observation.ts";

/** Longest piece of an instance's own text in a finding, in characters. */
const mostQuoted = 120;
const mostFindings = 20;

/**
 * Holds what an instance is against what its content made it: artifact, image, arguments, environment, mounts and
 * processes.
 *
 * Values of environment variables never appear in a finding: they may be secrets.
 *
 * @returns findings in plain words, in a fixed order; none means no drift
 */
export function compareObservation(expected: ExpectedObservation, observed: InstanceObservation): readonly string[] {
  if (isAsExpected(expected, observed)) return noFindings;
  const findings = [
    ...compareArtifact(expected, observed),
    ...(observed.imageIntact ? [] : ["an image file under its root was touched since it was verified"]),
    ...compareArguments(expected.arguments, observed.arguments),
    ...compareEnvironment(expected.environment, observed.environment),
    ...compareLists("mount", expected.mounts, observed.mounts),
    ...observed.entered.map(({ pid, command }) => `process ${pid} entered from outside: ${quoted(command)}`),
  ];
  if (findings.length <= mostFindings) return findings;
  return [...findings.slice(0, mostFindings), `and ${findings.length - mostFindings} more`];
}

/** Nearly always nothing has changed. */
function isAsExpected(expected: ExpectedObservation, observed: InstanceObservation): boolean {
  return (
    expected.artifact === observed.artifact &&
    observed.imageIntact &&
    observed.entered.length === 0 &&
    isSame(expected.arguments, observed.arguments) &&
    isSame(expected.environment, observed.environment) &&
    isSame(expected.mounts, observed.mounts)
  );
}

const noFindings: readonly string[] = [];

function compareArtifact(expected: ExpectedObservation, observed: InstanceObservation): readonly string[] {
  if (expected.artifact === observed.artifact) return [];
  return [`its root is ${observed.artifact ?? "not an artifact's"}, its content names ${expected.artifact ?? "none"}`];
}

function isSame(expected: readonly string[], observed: readonly string[]): boolean {
  if (expected === observed) return true;
  return expected.length === observed.length && expected.every((one, index) => one === observed[index]);
}

function compareArguments(expected: readonly string[], observed: readonly string[]): readonly string[] {
  if (isSame(expected, observed)) return [];
  return [`its first process runs ${quoted(observed.join(" "))} in place of ${quoted(expected.join(" "))}`];
}

function compareEnvironment(expected: readonly string[], observed: readonly string[]): readonly string[] {
  if (isSame(expected, observed)) return [];
  const before = variables(expected);
  const now = variables(observed);
  const names = [...new Set([...before.keys(), ...now.keys()])].sort();
  return names.flatMap((name) => {
    if (!now.has(name)) return [`environment variable ${quoted(name)} is gone`];
    if (!before.has(name)) return [`environment variable ${quoted(name)} was added`];
    return before.get(name) === now.get(name) ? [] : [`environment variable ${quoted(name)} has another value`];
  });
}

function variables(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    lines.map((line) => {
      const end = line.indexOf("=");
      return end < 0 ? [line, ""] : [line.slice(0, end), line.slice(end + 1)];
    }),
  );
}

function compareLists(noun: string, expected: readonly string[], observed: readonly string[]): readonly string[] {
  if (isSame(expected, observed)) return [];
  const before = new Set(expected);
  const now = new Set(observed);
  return [
    ...expected.filter((line) => !now.has(line)).map((line) => `${noun} is gone or was changed: ${quoted(line)}`),
    ...observed.filter((line) => !before.has(line)).map((line) => `${noun} was added or was changed: ${quoted(line)}`),
  ];
}

function quoted(text: string): string {
  return `"${text.length > mostQuoted ? `${text.slice(0, mostQuoted)}…` : text}"`;
}
