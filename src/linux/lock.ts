import { spawn } from "node:child_process";
import { once } from "node:events";

/** A lock of the kernel's on a file or folder; it is given up when this process ends, however that ends. */
export interface HeldLock {
  release(): Promise<void>;
}

/**
 * Waits for a lock, or looks whether it is free. A child holds it for as long as its standard input is open.
 *
 * @param kind `shared` with other shared ones
 * @returns undefined: somebody has it, and it was not to be waited for
 * @throws what `signal` was aborted with
 * @see flock(1)
 */
export async function takeLock(
  path: string,
  kind: "shared" | "exclusive",
  { wait, signal }: { readonly wait: boolean; readonly signal: AbortSignal },
): Promise<HeldLock | undefined> {
  signal.throwIfAborted();
  const args = [`--${kind}`, ...(wait ? [] : ["--nonblock"]), path, "cat"];
  const child = spawn("flock", args, { stdio: ["pipe", "pipe", "ignore"], detached: true });
  child.stdin.on("error", () => {});
  const gone = once(child, "close");
  gone.catch(() => {});
  const release = async (): Promise<void> => {
    child.stdin.destroy();
    // One that still waits for the lock does not read its input.
    child.kill("SIGKILL");
    await gone.catch(() => {});
  };
  // What it repeats shows that the lock is held.
  child.stdin.write(".");
  try {
    const isHeld = await Promise.race([
      once(child.stdout, "data", { signal }).then(() => true),
      gone.then(() => false),
    ]);
    if (isHeld) return { release };
    await release();
    return undefined;
  } catch (error) {
    await release();
    signal.throwIfAborted();
    throw error;
  }
}
