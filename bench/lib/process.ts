import { spawn } from "node:child_process";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: string;
  /** Ends it and what it started by SIGTERM when it takes longer. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end. @returns standard output @throws {Error} with the end of its output when it fails */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, args, options);
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with status ${status}\n${(stderr + stdout).slice(-2000)}`);
  return stdout;
}

/** Runs a program to its end, whatever its exit status. */
export function attempt(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
      detached: options.timeoutMs !== undefined,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text: Buffer) => void (stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => void (stderr += text.toString()));
    const end = () => void (child.pid === undefined || process.kill(-child.pid, "SIGTERM"));
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(end, options.timeoutMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? 137, stdout, stderr });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
  });
}
