import type { Change, ContentDifference } from "../model/difference.ts";
import { isSame } from "../model/difference.ts";
import { formatBytes, formatDuration } from "../model/quantities.ts";
import { shownValue } from "./overrides.ts";
import { shortDigest } from "./status.ts";
import { renderTable } from "./table.ts";

/** A line for each thing that differs: what it is, its name, what it was and what it is. */
export function renderDifference(difference: ContentDifference): readonly string[] {
  if (isSame(difference)) return ["nothing differs"];
  const { artifact, config, secrets, settings } = difference;
  const row = (kind: string, { name, from, to }: Change<string>): readonly string[] => [
    kind,
    name,
    `${from === null ? "(absent)" : shownValue(from)} → ${to === null ? "(absent)" : shownValue(to)}`,
  ];
  const version = (number: number | null): string | null => (number === null ? null : renderVersion(number));
  return renderTable([
    ...(artifact === null ? [] : [["artifact", "", `${shortDigest(artifact.from)} → ${shortDigest(artifact.to)}`]]),
    ...config.map((change) => row("config", change)),
    ...secrets.map(({ name, from, to }) => row("secret", { name, from: version(from), to: version(to) })),
    ...settings.map((change) => row("setting", asWritten(change))),
  ]);
}

/** A version of a secret, as all that shows secrets names it. */
export function renderVersion(version: number | null): string {
  return version === null ? "-" : `v${version}`;
}

/** `resources.memoryBytes` as a definition says it. */
export function settingName(path: string): string {
  return path.replace(/(Bytes|Ms)$/, "");
}

/** `memoryBytes 1048576` as a definition says it: `memory 1 MiB`. */
function asWritten({ name, from, to }: Change<string>): Change<string> {
  const units: readonly (readonly [suffix: string, format: (value: number) => string])[] = [
    ["Bytes", formatBytes],
    ["Ms", formatDuration],
  ];
  const unit = units.find(([suffix]) => name.endsWith(suffix));
  if (unit === undefined) return { name, from, to };
  const [, format] = unit;
  const text = (value: string | null): string | null => (value === null ? null : format(Number(value)));
  return { name: settingName(name), from: text(from), to: text(to) };
}
