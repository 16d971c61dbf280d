import { spawn } from "node:child_process";
import { once } from "node:events";
import { OperatorError } from "../errors/operator-error.ts";
import { interrupted } from "./command.ts";

const waitedMs = 60_000;

/**
 * Runs `work` while no other process runs any under the same path, a folder or file that is there.
 *
 * A child holds the kernel's lock for as long as its standard input is open: it ends with this process, however that
 * ends, so that a lock is never left behind.
 *
 * @throws {OperatorError} `LOCKED` after a minute, `MACHINE_LACKS` without flock(1), `INTERRUPTED`
 */
export async function underLock<Result>(
  path: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  if (signal.aborted) throw interrupted("waiting for a lock");
  const child = spawn("flock", ["--exclusive", path, "cat"], { stdio: ["pipe", "pipe", "ignore"] });
  child.stdin.on("error", () => undefined);
  const ended = once(child, "close").catch((cause: unknown) => {
    throw new OperatorError("MACHINE_LACKS", "Cannot run flock: it is not installed", {
      hint: "install it with apt-get install util-linux",
      cause,
    });
  });
  // What it repeats shows that the lock is held.
  child.stdin.write(".");
  try {
    const waiting = AbortSignal.any([signal, AbortSignal.timeout(waitedMs)]);
    await Promise.race([
      once(child.stdout, "data", { signal: waiting }).catch(() => {
        throw signal.aborted ? interrupted("waiting for a lock") : busy(path);
      }),
      ended.then(() => {
        throw busy(path);
      }),
    ]);
    return await work();
  } finally {
    child.stdin.destroy();
    // One that still waits for the lock does not read its input.
    child.kill();
    await ended.catch(() => undefined);
  }
}

function busy(path: string): OperatorError {
  return new OperatorError("LOCKED", `Cannot change "${path}": another build holds its lock`, {
    hint: "wait for the other build to end, then run this again",
  });
}
