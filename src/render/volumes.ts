import type { CopyWay, VolumeRow } from "../model/api/volumes.ts";
import { formatBytes, formatDuration } from "../model/quantities.ts";
import { renderTable } from "./table.ts";

/** What a snapshot costs, in words. */
export const wayTexts: Readonly<Record<CopyWay, string>> = {
  subvolume: "copy-on-write (btrfs subvolume)",
  reflink: "copy-on-write (shared extents)",
  copy: "full copies: this file system shares no bytes between files, btrfs and xfs do",
};

/** Every volume and what it was copied to, oldest first. */
export function renderVolumes(volumes: readonly VolumeRow[], nowMs: number): readonly string[] {
  if (volumes.length === 0) return ["there are no volumes: they are made when the first instance that has them starts"];
  const ago = (atMs: number): string => `${formatDuration(Math.max(0, nowMs - atMs))} ago`;
  const rows = volumes.flatMap((volume) => {
    const { app, environment, name, bytes, createdAtMs, from, attachedTo, releases, snapshots } = volume;
    const origin = from === null ? "" : `from ${from.name} ${from.snapshot}`;
    return [
      [
        app,
        environment,
        name,
        bytes === null ? "-" : formatBytes(bytes),
        ago(createdAtMs),
        [attachedTo.join(" ") || "nobody has it", origin].filter((text) => text !== "").join(", "),
        releases.join(" ") || "-",
      ],
      ...snapshots.map((snapshot) => [
        "",
        "",
        `  ${snapshot.name}`,
        "",
        ago(snapshot.createdAtMs),
        snapshot.release === null ? "snapshot, by hand" : `snapshot, before v${snapshot.release}`,
        "",
      ]),
    ];
  });
  const ways = [...new Set(volumes.map(({ way }) => way))];
  return [
    ...renderTable([["APP", "ENVIRONMENT", "VOLUME", "SIZE", "MADE", "ATTACHED TO", "RELEASES"], ...rows]),
    ...ways.map((way) => `snapshots are ${wayTexts[way]}`),
  ];
}
