import { spawn } from "node:child_process";
import { diskError, OperatorError } from "../errors/operator-error.ts";
import { giveWay } from "./priority.ts";

export interface RunOptions {
  /** What it reads; a promise lets it start up while that is still being found out. */
  readonly input?: string | Promise<string>;
  /** 0: none. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** What is written beyond this is dropped; default 1 MiB. */
  readonly mostOutputBytes?: number;
  /** How its output's bytes become text; default UTF-8. Names of files are bytes: latin1 keeps them. */
  readonly encoding?: "utf8" | "latin1";
  /** It has time: it runs at low priority, in a session of its own that has none of ours. */
  readonly givesWay?: boolean;
  /** Told the process's number once it runs. */
  readonly onPid?: (pid: number) => void;
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Output was dropped. */
  readonly cut: boolean;
}

/** Runs a program to its end; at the time-out (default 60 s) it is killed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const most = options.mostOutputBytes ?? 1024 * 1024;
  let cut = false;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: options.timeoutMs ?? 60_000,
      killSignal: "SIGKILL",
      env: options.env ?? process.env,
      detached: options.givesWay === true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (options.givesWay === true && child.pid !== undefined) giveWay(child.pid);
    if (child.pid !== undefined) options.onPid?.(child.pid);
    const collect = (stream: NodeJS.ReadableStream): (() => string) => {
      const chunks: Buffer[] = [];
      let size = 0;
      stream.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= most) chunks.push(chunk);
        else cut = true;
      });
      return () => Buffer.concat(chunks).toString(options.encoding ?? "utf8");
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") return reject(error);
      reject(
        new OperatorError("MACHINE_LACKS", `Cannot run "${command}": it is not installed`, {
          hint: "run `bronze doctor`: it lists what this machine lacks and how to install it",
          cause: error,
        }),
      );
    });
    child.on("close", (code) => resolve({ code, stdout: stdout(), stderr: stderr(), cut }));
    // A program that ends without reading its input closes the pipe; its exit status tells more than EPIPE.
    child.stdin.on("error", () => {});
    Promise.resolve(options.input ?? "").then(
      (input) => child.stdin.end(input),
      () => child.stdin.end(""),
    );
  });
}

/** Like {@link run}, but a status other than 0 is an error that says what was tried. */
export async function runOrFail(
  what: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(command, args, options);
  if (result.code === 0 && !result.cut) return result.stdout;
  throw failureOf(what, command, result);
}

/** What a program's end means that was not a success. */
export function failureOf(what: string, command: string, result: RunResult): OperatorError {
  // A program tells of a full disk in words only; these are strerror(3)'s.
  // tar tells of the write that still found some room by its length alone.
  if (/No space left on device|: Wrote only \d+ of \d+ bytes/.test(result.stderr))
    return diskError("ENOSPC", what, undefined, result.stderr.trim().slice(-2000));
  return new OperatorError(
    "RUNTIME_FAILED",
    `Cannot ${what}: ${command} ${result.cut ? "wrote too much" : `ended with status ${result.code ?? "killed"}`}`,
    {
      hint: "run `bronze doctor` to see whether the machine is fit",
      cause: result.stderr.trim().slice(-2000) || undefined,
    },
  );
}
