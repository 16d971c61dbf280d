import type { OverrideRow } from "../model/config.ts";

/** Longest part of a value that is shown where it stands among others. */
const mostShown = 60;

/** `LOG_LEVEL=debug (definition: info)`. */
function renderOverride({ name, value, defined }: OverrideRow): string {
  const now = value === null ? `${name} absent` : `${name}=${shownValue(value)}`;
  return `${now} (${defined === null ? "not in the definition" : `definition: ${shownValue(defined)}`})`;
}

/** A line for all overrides; none where there are none. */
export function renderOverrides(overrides: readonly OverrideRow[]): readonly string[] {
  return overrides.length === 0 ? [] : [`config overridden: ${overrides.map(renderOverride).join(", ")}`];
}

/** As much of a value as is shown among others. */
export function shownValue(value: string): string {
  return wholeValue(value.length > mostShown ? `${value.slice(0, mostShown)}…` : value);
}

/** All of a value in one line: as it is where that is possible, else quoted as in JSON. */
export function wholeValue(value: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this makes visible
  return value === "" || /[\u0000-\u001f\u007f-\u009f]/.test(value) ? JSON.stringify(value) : value;
}
