import { open, unlink } from "node:fs/promises";
import { constants, existsSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { readText } from "../../linux/files.ts";
import type { InstancePaths } from "./record.ts";
import { isAlive, type ProcessIdentity } from "../../linux/processes.ts";

const mostMs = 10_000;
const fifoName = "exec.fifo";

/**
 * Lets a made instance run: what `runc start` does, without a process of its own (it would be a tenth of the time of a
 * whole start). The instance's first process waits until somebody reads from the fifo, writes a byte and goes on.
 *
 * @see runc, libcontainer/container_linux.go, `exec` and `handleFifoResult`
 */
export async function releaseInstance(name: string, paths: InstancePaths, process: ProcessIdentity): Promise<void> {
  const fifo = join(paths.runtimeState, fifoName);
  const file = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const byte = Buffer.alloc(1);
    for (let waitedMs = 0; ; waitedMs += 1) {
      const { bytesRead } = await file.read(byte, 0, 1, null).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "EAGAIN") return { bytesRead: 0 };
        throw error;
      });
      if (bytesRead === 1) break;
      if (waitedMs > mostMs || !isAlive(process)) {
        throw new OperatorError(
          "RUNTIME_FAILED",
          `Cannot start instance "${name}": its first process ended before it could run`,
          {
            hint: "look at the memory limit: 6 MiB are needed to begin with",
          },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    await file.close();
  }
  await unlink(fifo);
}

/** Lets an instance run that was recorded, and waits to be let run, when its daemon was killed. */
export async function finishRelease(name: string, paths: InstancePaths, process: ProcessIdentity): Promise<void> {
  const waits = readText(`/proc/${process.pid}/comm`)?.startsWith("runc:[") === true;
  const fifo = join(paths.runtimeState, fifoName);
  if (!existsSync(fifo) || !isAlive(process)) return;
  if (waits) await releaseInstance(name, paths, process);
  else await unlink(fifo);
}
