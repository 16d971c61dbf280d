import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";

/** Login name of who asks; root's caller where sudo says so. */
export function whoAsks(env: NodeJS.ProcessEnv = process.env): string {
  const name = env["SUDO_USER"] || env["USER"] || env["LOGNAME"] || passwdName() || `uid ${process.getuid?.() ?? "?"}`;
  return name.slice(0, 200);
}

// Not os.userInfo(): it throws where the user has no entry.
function passwdName(): string | undefined {
  const uid = String(process.getuid?.());
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n");
    return lines.map((line) => line.split(":")).find((fields) => fields[2] === uid)?.[0];
  } catch {
    return undefined;
  }
}

/** The commit the folder is at, or undefined outside version control. */
export function commitOf(folder: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(
      "git",
      ["-C", folder, "rev-parse", "--verify", "--quiet", "HEAD"],
      { timeout: 10_000 },
      (error, stdout) => {
        const commit = stdout.trim();
        resolve(error === null && /^[0-9a-f]{40,64}$/.test(commit) ? commit : undefined);
      },
    );
  });
}
