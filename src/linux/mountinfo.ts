import { readFileSync } from "node:fs";

export interface MountEntry {
  readonly id: number;
  /** `major:minor` of the superblock. */
  readonly device: string;
  /** Which folder of that file system is mounted. */
  readonly root: string;
  readonly target: string;
  readonly options: string;
  readonly type: string;
  readonly source: string;
  readonly superOptions: string;
}

const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** @see proc_pid_mountinfo(5) */
export function parseMountinfo(text: string): readonly MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split("\n")) {
    const [left, right] = line.split(" - ", 2);
    if (left === undefined || right === undefined) continue;
    const [id, , device = "", root = "", target = "", options = ""] = left.split(" ");
    const [type = "", source = "", superOptions = ""] = right.split(" ");
    entries.push({
      id: Number(id),
      device,
      root: unescape(root),
      target: unescape(target),
      options,
      type,
      source: unescape(source),
      superOptions,
    });
  }
  return entries;
}

/** Mounts that a process sees; its own when none is given. */
export function readMounts(pid: number | "self" = "self"): readonly MountEntry[] {
  return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
}
