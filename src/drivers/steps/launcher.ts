import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { OperatorError } from "../../errors/operator-error.ts";

/** Folders laid over each other, mounted where only the step sees them. */
export interface OverlayMount {
  /** Made where it is missing. */
  readonly target: string;
  /** Folders of one file system that take what is written; absent: read-only. */
  readonly upper?: { readonly upper: string; readonly work: string };
  /** Highest first. */
  readonly lower: readonly string[];
}

export interface LaunchOptions {
  /** The step's folder, with a folder `private` in it. */
  readonly folder: string;
  readonly mounts: readonly OverlayMount[];
  /** Starts the container, detached, and leaves its process id in `private/pid`. */
  readonly command: readonly string[];
  readonly output: (piece: Buffer) => void;
}

/** How a step's container ended, or that it could not be started. */
export interface Ended {
  readonly kind: "exit" | "refused";
  readonly status: number;
}

/** Namespaces for one container: made, not yet started. All of it ends when this process ends. */
export interface Launched {
  /** The process that holds the namespaces, as seen from here. */
  readonly pid: number;
  /** A path of the step's mount namespace, as reached from here. */
  inside(path: string): string;
  /** Starts the container and waits for its end; all its processes are gone then, and the namespaces are still there. */
  run(): Promise<Ended>;
  /** Ends it, container and all, and waits until nothing of it is left. May be called at any time, and again. */
  end(): Promise<void>;
}

/** @throws {OperatorError} `MACHINE_LACKS`, `MACHINE_REFUSED` naming what the kernel refused */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const plan = options.mounts.flatMap(({ target, upper, lower }) => {
    const words = [target, upper?.upper ?? "", upper?.work ?? "", ...lower];
    return [String(words.length), ...words];
  });
  const args = [launcherSource(), process.arch, String(process.pid), options.folder, String(plan.length), ...plan];
  const child = spawn("perl", [...args, ...options.command], {
    // A session of its own: Ctrl-C is for us to pass on.
    detached: true,
    env: { PATH: process.env["PATH"], LC_ALL: "C" },
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const gone = once(child, "close").catch((cause: unknown) => {
    throw new OperatorError("MACHINE_LACKS", "Cannot run a build step: perl is not installed", {
      hint: "install the package perl-base; `bronze doctor` lists what is needed",
      cause,
    });
  });
  gone.catch(() => {});
  const commands = child.stdio[3] as Writable;
  commands.on("error", () => {});
  const answers = createInterface({ input: child.stdio[4] as Readable })[Symbol.asyncIterator]();
  const answer = async (expected: RegExp): Promise<RegExpExecArray> => {
    const { value, done } = await answers.next();
    const line = done === true ? "failed it ended without a word" : value;
    const match = expected.exec(line);
    if (match !== null) return match;
    if (done === true) await gone;
    throw refused(line.replace(/^failed /, ""));
  };
  let pid: number | undefined;
  let drained: Promise<unknown> = Promise.resolve();
  const end = async (): Promise<void> => {
    kill(child, pid);
    await gone.catch(() => {});
    await drained;
  };
  try {
    pid = Number((await answer(/^pid ([0-9]+)$/))[1]);
    await answer(/^ready$/);
    const inside = (path: string): string => `/proc/${pid}/root${path}`;
    drained = drain(inside(join(options.folder, "private/output")), options.output);
    return {
      pid,
      inside,
      async run() {
        commands.write("go\n");
        const [, kind, status] = await answer(/^(exit|refused) ([0-9]+)$/);
        return { kind: kind === "exit" ? "exit" : "refused", status: Number(status) };
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Opened while the launcher holds its other end: there is no end of file before it and the container are gone. */
function drain(path: string, output: (piece: Buffer) => void): Promise<unknown> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let socket: Socket;
  try {
    socket = new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  socket.on("data", output);
  return once(socket, "close").catch(() => {});
}

/** The first process of the namespaces where it is known: its parent ends when all in them are gone. */
function kill(child: ChildProcess, holder: number | undefined): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  try {
    if (holder === undefined) child.kill("SIGKILL");
    else process.kill(holder, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** The program's source: beside this file, or in the checkout that a bundle of this file lies in. */
function launcherSource(): string {
  const path = join(import.meta.dirname, "launcher.pl");
  if (existsSync(path)) return path;
  throw new OperatorError("MACHINE_LACKS", "Cannot run a build step: its launcher.pl is missing", {
    hint: "run bronze from its checkout",
  });
}

function refused(reason: string): OperatorError {
  return new OperatorError("MACHINE_REFUSED", `Cannot make the namespaces of a build step: ${reason}`, {
    hint: "run as root on a kernel with overlayfs and namespaces: `bronze doctor` tells what is missing",
  });
}
