import { execFile } from "node:child_process";

/** What a short command printed, and whether it went well; never throws. */
export function tryCommand(
  program: string,
  args: readonly string[],
  timeoutMs = 10_000,
): Promise<{ readonly ok: boolean; readonly found: boolean; readonly text: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: timeoutMs, maxBuffer: 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ ok: error === null, found: error?.code !== "ENOENT", text: `${stdout}${stderr}`.trim() });
    });
  });
}
