import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { OperatorError } from "../../errors/operator-error.ts";
import { readText } from "../../linux/files.ts";
import type { InstancePaths, Folders } from "./record.ts";

export interface SupervisedStart {
  readonly name: string;
  readonly paths: InstancePaths;
  readonly folders: Folders;
  readonly runtimePath: string;
}

const mostMessageBytes = 64 * 1024;
const createTimeoutMs = 30_000;

/**
 * Has conmon make an instance, not yet started. conmon reports the instance's pid, or runc's error, on the sync pipe.
 *
 * @param onSupervisor called with the pid of the conmon that stays, as soon as it is known; null: none does
 * @returns pid of the instance's first process
 * @see conmon(8), `_OCI_STARTPIPE`, `_OCI_SYNCPIPE`
 */
export async function createSupervised(
  start: SupervisedStart,
  onSupervisor: (pid: number | null) => void,
): Promise<number> {
  const { name, paths, folders } = start;
  // Its standard error must not be a pipe of ours: it lives on when we are gone.
  const complaints = join(paths.bundle, "conmon.err");
  const errors = openSync(complaints, "a", 0o600);
  const child = spawn(
    "conmon",
    [
      "--api-version",
      "1",
      "-c",
      name,
      "-u",
      name,
      "-n",
      name,
      "-r",
      start.runtimePath,
      "--runtime-arg",
      `--root=${folders.runtimeRoot}`,
      "-b",
      paths.bundle,
      "-p",
      `${paths.bundle}/pid`,
      "-P",
      paths.supervisorPid,
      "-l",
      `k8s-file:${paths.log}`,
      "--exit-dir",
      folders.exits,
      "--persist-dir",
      paths.bundle,
      "--socket-dir-path",
      paths.bundle,
      "--log-level",
      "error",
    ],
    // conmon tells of a memory-limit kill also by a file in its working directory.
    {
      cwd: paths.bundle,
      detached: true,
      stdio: ["ignore", "ignore", errors, "pipe", "pipe"],
      env: { PATH: process.env["PATH"], _OCI_SYNCPIPE: "3", _OCI_STARTPIPE: "4" },
    },
  );
  const sync = child.stdio[3] as Readable;
  const go = child.stdio[4] as Writable;
  try {
    const spawned = new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    await spawned;
    const report = readLine(sync);
    report.catch(() => {});
    // The process that was spawned ends as soon as it has written down the one that stays; or before, where it is killed.
    child.once("exit", (code) => onSupervisor(code === 0 ? Number(readText(paths.supervisorPid)) : null));
    go.on("error", () => {});
    go.end("\0");
    return parseReport(name, await report, () => readText(complaints));
  } catch (error) {
    if (child.pid !== undefined && child.exitCode === null) child.kill("SIGKILL");
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new OperatorError("MACHINE_LACKS", `Cannot start instance "${name}": conmon is not installed`, {
        hint: "run `bronze doctor`: it lists what to install",
        cause: error,
      });
    }
    throw error;
  } finally {
    closeSync(errors);
    sync.destroy();
    go.destroy();
    child.unref();
  }
}

function readLine(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(
      () => reject(new Error(`no answer from conmon within ${createTimeoutMs / 1000} s`)),
      createTimeoutMs,
    );
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      settle();
    };
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n") || text.length > mostMessageBytes) end(() => resolve(text));
    });
    stream.on("error", (error) => end(() => reject(error)));
    stream.on("end", () => end(() => resolve(text)));
  });
}

function parseReport(name: string, line: string, complaints: () => string | undefined): number {
  let report: { readonly data?: unknown; readonly message?: unknown } = {};
  try {
    report = JSON.parse(line) as typeof report;
  } catch {
    // An empty line: conmon ended without a report, and what is thrown below says so.
  }
  if (typeof report.data === "number" && report.data > 0) return report.data;
  const message =
    typeof report.message === "string" ? report.message : complaints()?.trim() || "conmon ended without a report";
  throw new OperatorError("RUNTIME_FAILED", `Cannot start instance "${name}": ${readable(message)}`, {
    hint: /executable file not found|no such file or directory/.test(message)
      ? "the image has no such program: look at its entrypoint and command, or `run.command`"
      : "run `bronze doctor` to see whether the machine is fit",
    cause: message.trim().slice(0, 2000),
  });
}

/** runc's own words, without its log framing. */
function readable(message: string): string {
  const inner = /"?msg"?[=:]\s*"((?:[^"\\]|\\.)*)"/.exec(message)?.[1] ?? message;
  return inner
    .replaceAll('\\"', '"')
    .replace(/^runc create failed: /, "")
    .trim()
    .slice(0, 500);
}
