import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { printable } from "../../errors/redact.ts";

/** Column of a listening socket's state. @see proc_net_tcp(5) */
const listening = "0A";

/**
 * Which process listens on a TCP port of this machine, in words.
 *
 * @returns undefined when none does, or none that this process can see
 */
export function portHolder(port: number): string | undefined {
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeners(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    if (!holdsAny(pid, inodes)) continue;
    const name = read(`/proc/${pid}/comm`).trim();
    return `${printable(name)} (process ${pid})`;
  }
  return "a process of another namespace";
}

function listeners(table: string, port: number): readonly string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return read(`/proc/net/${table}`)
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(wanted) === true && columns[3] === listening)
    .flatMap((columns) => columns[9] ?? []);
}

function holdsAny(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    // It ended while it was looked at.
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
