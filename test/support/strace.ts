import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { eventually } from "./bronze.ts";

/** A system call as strace saw it; `start` and `end` are lines of its output, which it writes in the order things happen. */
export interface SystemCall {
  readonly name: string;
  /** What stands between the parentheses, file descriptors followed by what they are open on. */
  readonly args: string;
  readonly result: number;
  readonly start: number;
  readonly end: number;
}

export const traced =
  "trace=write,writev,pwrite64,pwritev,sendmsg,sendto,fsync,fdatasync,rename,renameat,renameat2,link,linkat";
const options = ["-y", "-s", "400", "-e", traced, "-e", "signal=none"];

/** The command line that runs a program and what it starts under strace. */
export function underStrace(output: string, program: readonly string[]): readonly string[] {
  return ["-f", ...options, "-o", output, "--", ...program];
}

/**
 * Attaches to every thread that a process has now. What it starts is left alone: a traced `runc create` would hang.
 *
 * @returns the way to stop, which gives what was seen
 */
export async function attachStrace(pid: number, output: string): Promise<() => Promise<readonly SystemCall[]>> {
  const threads = readdirSync(`/proc/${pid}/task`).flatMap((tid) => ["-p", tid]);
  const strace = spawn("strace", [...options, "-o", output, ...threads], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  strace.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await eventually("strace is attached", () => (said.match(/ attached$/gm) ?? []).length === threads.length / 2);
  return async () => {
    const ended = new Promise((resolve) => strace.once("exit", resolve));
    // What it has seen is written out when it ends.
    strace.kill("SIGINT");
    await ended;
    return readTrace(output);
  };
}

export function readTrace(output: string): readonly SystemCall[] {
  return statSync(output).size === 0 ? [] : parseTrace(readFileSync(output, "utf8"));
}

/** Joins calls that strace told in two lines, because another thread's came between. @see strace(1), "unfinished" */
export function parseTrace(text: string): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const open = new Map<string, { readonly name: string; readonly args: string; readonly start: number }>();
  text.split("\n").forEach((line, at) => {
    const [, pid = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. (\w+) resumed>(.*?)\)?\s+= (-?\d+)/.exec(rest);
    if (resumed !== null) {
      const begun = open.get(`${pid} ${resumed[1]}`);
      open.delete(`${pid} ${resumed[1]}`);
      if (begun !== undefined)
        calls.push({ ...begun, args: `${begun.args}${resumed[2]}`, result: Number(resumed[3]), end: at });
      return;
    }
    const unfinished = /^(\w+)\((.*?)\s*<unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      const [, name = "", args = ""] = unfinished;
      open.set(`${pid} ${name}`, { name, args, start: at });
      return;
    }
    const whole = /^(\w+)\((.*)\)\s+= (-?\d+)/.exec(rest);
    if (whole !== null)
      calls.push({ name: whole[1] ?? "", args: whole[2] ?? "", result: Number(whole[3]), start: at, end: at });
  });
  return calls;
}
