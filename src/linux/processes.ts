import { readText } from "./files.ts";

/** A process, told apart from a later one with the same number by when it started. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly start: string;
}

export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  readonly start: string;
  /** Address of the stack's bottom: another after each exec. */
  readonly stackStart: string;
}

/** @see proc_pid_stat(5) */
export function processStat(pid: number): ProcessStat | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The command in brackets may itself hold brackets and blanks.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), start: fields[19] ?? "", stackStart: fields[25] ?? "" };
}

export function identify(pid: number): ProcessIdentity | undefined {
  const stat = processStat(pid);
  return stat === undefined ? undefined : { pid, start: stat.start };
}

/** Still the same process, and not a zombie. */
export function isAlive(process: ProcessIdentity): boolean {
  const stat = processStat(process.pid);
  return stat !== undefined && stat.start === process.start && stat.state !== "Z" && stat.state !== "X";
}

/** Sends a signal to this very process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Waits until a process is gone. @returns false when it is still there after `forMs` */
export async function waitGone(process: ProcessIdentity, forMs: number): Promise<boolean> {
  for (let waited = 0; ; waited += 2) {
    if (!isAlive(process)) return true;
    if (waited >= forMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const termBit = 1n << 14n;

/**
 * Whether SIGTERM would do nothing to the first process of a pid namespace: the kernel drops it unless a handler is set,
 * or it is blocked to be read by signalfd or sigwait.
 *
 * @see pid_namespaces(7), "The namespace init process"
 */
export function dropsTerm(pid: number): boolean {
  const status = readText(`/proc/${pid}/status`);
  if (status === undefined) return false;
  const mask = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s+([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`);
  return ((mask("SigCgt") | mask("SigBlk")) & termBit) === 0n;
}
