import { spawn } from "node:child_process";
import { diskError, OperatorError } from "../errors/operator-error.ts";

export interface CommandOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly env?: { readonly [name: string]: string | undefined };
  readonly cwd?: string;
  /** What errors call it, where the program only starts another one; absent: the program. */
  readonly name?: string;
  /** How large a file it may write; what writes more is ended. */
  readonly mostFileBytes?: number;
  /** Of the program; absent: that of this process. */
  readonly umask?: number;
  /** An open file that gets the standard output, from where it stands; the result's `stdout` is empty then. */
  readonly stdoutTo?: number;
}

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const keptBytes = 4 * 2 ** 20;

/**
 * Runs a program to its end in a process group of its own, so that ending it early also ends what it started:
 * SIGTERM first, SIGKILL after five seconds. At most the last 4 MiB of each output are kept.
 *
 * @throws {OperatorError} `MACHINE_LACKS` where the program is not installed, `INTERRUPTED`, `BUILD_FAILED` past `timeoutMs`
 */
export function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const { name = program, mostFileBytes } = options;
    const [started, given] =
      mostFileBytes === undefined ? [program, args] : ["prlimit", [`--fsize=${mostFileBytes}`, "--", program, ...args]];
    if (options.signal.aborted) return reject(interrupted(name));
    const child = underUmask(options.umask, () =>
      spawn(started, given, {
        detached: true,
        stdio: ["ignore", options.stdoutTo ?? "pipe", "pipe"],
        env: { ...process.env, LC_ALL: "C.UTF-8", ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      }),
    );
    let stopped: OperatorError | undefined;
    let killTimer: NodeJS.Timeout | undefined;
    const stop = (reason: OperatorError): void => {
      if (stopped !== undefined) return;
      stopped = reason;
      killGroup(child.pid, "SIGTERM");
      killTimer = setTimeout(() => killGroup(child.pid, "SIGKILL"), 5000);
    };
    const onAbort = (): void => stop(interrupted(name));
    const timer = setTimeout(() => {
      stop(
        new OperatorError(
          "BUILD_FAILED",
          `Cannot wait longer for ${name}: it ran ${Math.round(options.timeoutMs / 1000)} s`,
          { hint: "look at the network and run the build again" },
        ),
      );
    }, options.timeoutMs);
    options.signal.addEventListener("abort", onAbort, { once: true });
    const finish = (): void => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      options.signal.removeEventListener("abort", onAbort);
    };
    const stdout = tail();
    const stderr = tail();
    child.stdout?.on("data", stdout.add);
    child.stderr?.on("data", stderr.add);
    child.on("error", (cause: NodeJS.ErrnoException) => {
      finish();
      if (cause.code === "ENOENT")
        reject(
          new OperatorError("MACHINE_LACKS", `Cannot run ${program}: it is not installed`, {
            hint: `install it with apt-get install ${program}; bronze doctor lists what is needed`,
            cause,
          }),
        );
      else reject(cause);
    });
    child.on("close", (status) => {
      finish();
      if (stopped !== undefined) reject(stopped);
      // A program tells of a full disk in words only; these are strerror(3)'s.
      else if (status !== 0 && stderr.text().includes("No space left on device"))
        reject(diskError("ENOSPC", `run ${name}`, undefined, stderr.text().trim().slice(-2000)));
      else resolve({ status, stdout: stdout.text(), stderr: stderr.text() });
    });
  });
}

function underUmask<Result>(umask: number | undefined, start: () => Result): Result {
  if (umask === undefined) return start();
  const before = process.umask(umask);
  try {
    return start();
  } finally {
    process.umask(before);
  }
}

function tail(): { add: (piece: Buffer) => void; text: () => string } {
  let kept: Buffer[] = [];
  let size = 0;
  return {
    add(piece) {
      kept.push(piece);
      size += piece.byteLength;
      if (size > 2 * keptBytes) {
        const last = Buffer.concat(kept).subarray(-keptBytes);
        kept = [last];
        size = last.byteLength;
      }
    },
    text: () => Buffer.concat(kept).toString("utf8"),
  };
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

export function interrupted(what: string): OperatorError {
  return new OperatorError("INTERRUPTED", `Cannot finish ${what}: interrupted`, {
    hint: "run it again; what is finished is not done twice",
  });
}
