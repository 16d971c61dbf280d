import { existsSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { readText } from "./files.ts";
import { run } from "./process.ts";

const mostOpenFiles = 65_536;

/** Most open files that a program of an image gets: above our own hard limit runc would fail. @see getrlimit(2), RLIMIT_NOFILE */
export function openFileLimit(): number {
  const hard = Number(/^Max open files\s+\S+\s+(\S+)/m.exec(readText("/proc/self/limits") ?? "")?.[1]);
  return Number.isFinite(hard) ? Math.min(hard, mostOpenFiles) : mostOpenFiles;
}

/**
 * Size limit of core dumps for programs that hold what must not reach a disk, in bytes: 1, which is too small for any and
 * at which the kernel hands none to a program either; 0 where we may not go up to that.
 *
 * @see core(5), "Piping core dumps to a program"
 */
export function coreLimit(): number {
  return /^Max core file size\s+\S+\s+0\s/m.test(readText("/proc/self/limits") ?? "") ? 0 : 1;
}

/** Holds this process and all that it starts to {@link coreLimit}. Where that is refused the limit stays as it is. */
export async function limitCoreDumps(): Promise<void> {
  const bytes = coreLimit();
  await run("prlimit", [`--core=${bytes}:${bytes}`, "--pid", String(process.pid)]).catch(() => undefined);
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
