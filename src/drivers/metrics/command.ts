import { spawn } from "node:child_process";
import { longestAnswerBytes, longestMeasurementMs, type MetricAnswer, type MetricQuery } from "../../ports/metrics.ts";

type Query = Extract<MetricQuery, { kind: "command" }>;

/** User and group `nobody` and `nogroup` of Debian: what a definition names must not run as the daemon does. */
const nobody = 65_534;
const path = "/usr/local/bin:/usr/bin:/bin";
/** With these `timeout` tells that it could not start the program. @see timeout(1) */
const notStarted = new Map([
  [126, "cannot be run"],
  [127, "is not there"],
]);

/**
 * Runs a command as nobody, in a process group of its own that ends with it, and takes the number that it wrote last.
 * `timeout` is round it, so that it ends in its time also when the daemon does not live to see it.
 */
export function runCommand({ command, env }: Query, signal: AbortSignal): Promise<MetricAnswer> {
  const [program = ""] = command;
  const seconds = longestMeasurementMs / 1000;
  return new Promise((resolve) => {
    const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
    const child = spawn("timeout", ["--signal=KILL", String(seconds + 1), ...command], {
      cwd: "/",
      env: { PATH: path, LANG: "C.UTF-8", ...env },
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
      ...user,
    });
    const pieces: Buffer[] = [];
    let bytes = 0;
    let settled = false;
    const settle = (answer: MetricAnswer): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      endGroup(child.pid);
      child.stdout.destroy();
      resolve(answer);
    };
    const fail = (finding: string): void =>
      settle({ kind: "error", reason: `the command ${program.slice(0, 100)} ${finding}` });
    const end = (): void => fail("was ended");
    const timer = setTimeout(() => fail(`did not end within ${seconds} s`), longestMeasurementMs);
    signal.addEventListener("abort", end, { once: true });
    child.once("error", (error: NodeJS.ErrnoException) => fail(`cannot be run: ${error.code ?? "refused"}`));
    child.stdout.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > longestAnswerBytes) fail(`wrote more than ${longestAnswerBytes} bytes`);
      else pieces.push(piece);
    });
    // Its own end counts: what it left running may hold the pipe open.
    child.once("exit", (status, killedBy) => {
      const finding = status === null ? `was killed by ${killedBy ?? "a signal"}` : notStarted.get(status);
      if (status === null || finding !== undefined) return fail(finding ?? "");
      const done = (): void => settle({ kind: "values", values: valuesOf(status, Buffer.concat(pieces).toString()) });
      if (child.stdout.readableEnded) return done();
      child.stdout.once("end", done);
      setTimeout(done, drainMs).unref();
    });
  });
}

/** Time for what a command wrote before its end to arrive, in ms. */
const drainMs = 500;

function valuesOf(status: number, written: string): { readonly status: number; readonly result?: number } {
  const last = written.trimEnd().split("\n").at(-1)?.trim() ?? "";
  const result = last === "" ? Number.NaN : Number(last);
  return { status, ...(Number.isFinite(result) ? { result } : {}) };
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
