import { readFileSync } from "node:fs";
import type { Machine } from "../../ports/machine.ts";

/** Memory as the kernel reports it. @see proc_meminfo(5) */
export const systemMachine: Machine = {
  memory() {
    const text = readFileSync("/proc/meminfo", "utf8");
    const bytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
    return { totalBytes: bytes("MemTotal"), availableBytes: bytes("MemAvailable") };
  },
};
