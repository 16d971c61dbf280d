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
  if (value === "") return '""';
  return value.length > mostShown ? `${value.slice(0, mostShown)}…` : value;
}
