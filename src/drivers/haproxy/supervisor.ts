import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { goFirst } from "../../linux/priority.ts";
import { ask } from "./admin.ts";
import type { RouterLayout } from "./layout.ts";
import { portHolder } from "./port-holder.ts";

const startTimeoutMs = 10_000;

export interface SupervisorStatus {
  readonly port: number;
  readonly supervisor: number;
  /** Process id of HAProxy's master; 0 while none runs. */
  readonly haproxy: number;
  readonly starts: number;
}

/** The supervisor that runs, or undefined when none answers. */
export async function findSupervisor(layout: RouterLayout): Promise<SupervisorStatus | undefined> {
  let answer: string;
  try {
    answer = await ask(layout.control, "status");
  } catch {
    return undefined;
  }
  const match = /^port=([0-9]+) supervisor=([0-9]+) haproxy=([0-9]+) starts=([0-9]+)\n$/.exec(answer);
  if (match === null) return undefined;
  const [port, supervisor, haproxy, starts] = match.slice(1).map(Number) as [number, number, number, number];
  return { port, supervisor, haproxy, starts };
}

export interface StartedSupervisor {
  readonly port: number;
  /** It took over an HAProxy that ran already, whose own supervisor had ended. */
  readonly adopted: boolean;
}

/**
 * Starts the supervisor detached; it outlives this process.
 *
 * @throws {OperatorError} `MACHINE_REFUSED` when the port cannot be bound, `MACHINE_LACKS` without perl, `ROUTER_FAILED`
 */
export async function startSupervisor(
  layout: RouterLayout,
  bind: { readonly host: string; readonly port: number },
): Promise<StartedSupervisor> {
  const child = spawn(
    "perl",
    [supervisorSource(), layout.run, bind.host, String(bind.port), layout.config, layout.log, "haproxy"],
    {
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    },
  );
  if (child.pid !== undefined) goFirst(child.pid);
  const line = await new Promise<string>((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`no word within ${startTimeoutMs} ms`)), startTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      resolve(text);
    };
    child.on("error", (cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) settle();
    });
    child.stdout.on("end", settle);
  }).catch((cause: unknown) => {
    const lacks = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new OperatorError(lacks ? "MACHINE_LACKS" : "ROUTER_FAILED", "Cannot start the router's supervisor", {
      hint: lacks ? "install the package perl-base" : "see router.log in the log folder",
      cause,
    });
  });
  child.unref();
  child.stdout.destroy();
  const [, word, port] = /^(listening|adopted) ([0-9]+)$/.exec(line.trim()) ?? [];
  if (port !== undefined) return { port: Number(port), adopted: word === "adopted" };
  const reason = line.replace(/^failed /, "").trim() || "it ended without a word";
  const holder = bind.port === 0 ? undefined : portHolder(bind.port);
  const because = holder === undefined ? reason : `${holder} listens on port ${bind.port}`;
  throw new OperatorError("MACHINE_REFUSED", `Cannot listen on ${bind.host}:${bind.port} for the router: ${because}`, {
    hint: "end what listens there, or choose another port with --http-port; nothing was changed",
    cause: holder === undefined ? undefined : reason,
  });
}

/** Asks the supervisor to end itself and HAProxy. Fine when none runs. */
export async function endSupervisor(layout: RouterLayout): Promise<void> {
  if ((await findSupervisor(layout)) === undefined) return;
  await ask(layout.control, "stop", 10_000);
}

/** The program's source: beside this file, or in the checkout that a bundle of this file lies in. */
function supervisorSource(): string {
  const beside = join(import.meta.dirname, "supervisor.pl");
  if (existsSync(beside)) return beside;
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, "src/drivers/haproxy/supervisor.pl");
    if (existsSync(path)) return path;
  }
  throw new OperatorError("ROUTER_FAILED", "Cannot start the router: its supervisor.pl is missing", {
    hint: "run bronze from its checkout, or keep supervisor.pl beside the bundle",
  });
}
