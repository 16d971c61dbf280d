import { spawn } from "node:child_process";

/** How a child process ended, and what it wrote. */
export interface Ended {
  readonly status: number;
  readonly output: string;
}

/** Runs a program to its end; its lines go to `line` as they come. Ctrl-C is for the demo to judge, not for the child. */
export function runShown(
  command: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly line?: (text: string) => void;
    readonly signal?: AbortSignal;
  },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    // A process group of its own: the terminal's Ctrl-C reaches the demo alone, which then takes everything down.
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let rest = "";
    const stop = () => void child.kill("SIGTERM");
    options.signal?.addEventListener("abort", stop, { once: true });
    if (options.signal?.aborted === true) stop();
    const take = (piece: Buffer) => {
      output += piece.toString();
      const lines = (rest + piece.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) options.line?.(line);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", (status) => {
      options.signal?.removeEventListener("abort", stop);
      if (rest !== "") options.line?.(rest);
      if (options.signal?.aborted === true) reject(options.signal.reason);
      else resolve({ status: status ?? 137, output });
    });
  });
}

/** The same without showing anything. */
export function runQuietly(command: string, args: readonly string[], cwd?: string): Promise<Ended> {
  return runShown(command, args, cwd === undefined ? {} : { cwd });
}
