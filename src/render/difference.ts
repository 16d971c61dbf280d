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
  const version = (number: number | null): string | null => (number === null ? null : `version ${number}`);
  return renderTable([
    ...(artifact === null ? [] : [["artifact", "", `${shortDigest(artifact.from)} → ${shortDigest(artifact.to)}`]]),
    ...config.map((change) => row("config", change)),
    ...secrets.map(({ name, from, to }) => row("secret", { name, from: version(from), to: version(to) })),
    ...settings.map((change) => row("setting", asWritten(change))),
  ]);
}

/** `memoryBytes 1048576` as a definition says it: `memory 1 MiB`. */
function asWritten({ name, from, to }: Change<string>): Change<string> {
  const units: readonly (readonly [suffix: string, format: (value: number) => string])[] = [
    ["Bytes", formatBytes],
    ["Ms", formatDuration],
  ];
  const unit = units.find(([suffix]) => name.endsWith(suffix));
  if (unit === undefined) return { name, from, to };
  const [suffix, format] = unit;
  const text = (value: string | null): string | null => (value === null ? null : format(Number(value)));
  return { name: name.slice(0, -suffix.length), from: text(from), to: text(to) };
}
