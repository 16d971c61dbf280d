import { existsSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { readText } from "./files.ts";

const mostOpenFiles = 65_536;

/** Most open files that a program of an image gets: above our own hard limit runc would fail. @see getrlimit(2), RLIMIT_NOFILE */
export function openFileLimit(): number {
  const hard = Number(/^Max open files\s+\S+\s+(\S+)/m.exec(readText("/proc/self/limits") ?? "")?.[1]);
  return Number.isFinite(hard) ? Math.min(hard, mostOpenFiles) : mostOpenFiles;
}

/** Where a program lies, for those that want a path. @throws {OperatorError} `MACHINE_LACKS` */
export function findProgram(name: string): string {
  const found = (process.env["PATH"] ?? "")
    .split(":")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new OperatorError("MACHINE_LACKS", `Cannot run ${name}: it is not installed`, {
    hint: "run `bronze doctor`: it lists what to install",
  });
}
