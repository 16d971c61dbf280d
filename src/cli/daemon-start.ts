import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exitStatusByCode } from "../errors/codes.ts";
import { fromErrorRecord, OperatorError, type ErrorRecord } from "../errors/operator-error.ts";
import type { Ping } from "../model/api/asked.ts";
import type { Places } from "../model/places.ts";
import { isUnreachable } from "./api-client.ts";
import type { Context } from "./context.ts";
import { isInstalled, systemctl } from "./install/systemd.ts";
import { unitName } from "./install/unit.ts";
import { rememberHttp } from "./remembered-http.ts";

/**
 * Node's flags of a daemon. It lives long: with V8's usual room for what dies young its memory doubles under load and
 * stays so. In MiB.
 */
export const daemonFlags = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=4"] as const;
const startDeadlineMs = 60_000;
/** How long another's daemon, which holds the lock, may take to answer before its place is tried again, in ms. */
const othersMs = 1_000;
const logBytes = 10 * 1024 * 1024;
/** Of the log line that says why the daemon ended. */
const fatalLevel = 60;

/** Where the daemon's router takes requests, when it is started by this command. */
export interface HttpOptions {
  readonly httpHost?: string;
  readonly httpPort?: string;
}

/** The daemon's answer; starts it detached when none runs. */
export async function ensureDaemon(context: Context, http: HttpOptions): Promise<Ping> {
  const { places, output } = context;
  if (http.httpPort !== undefined) parsePort(http.httpPort);
  if (http.httpHost !== undefined) checkHost(http.httpHost);
  const running = await pingDaemon(context);
  if (running !== undefined) {
    if (http.httpPort !== undefined || http.httpHost !== undefined)
      output.note(`the daemon runs already, requests come in at ${running.url}: where it listens stays as it is`);
    return running;
  }
  if (process.getuid?.() !== 0) {
    throw new OperatorError("DAEMON_UNREACHABLE", "Cannot start the daemon: not root", {
      hint: "run this command once as root, or start the daemon with `bronze serve` as root",
    });
  }
  if (isInstalled(places)) return startInstalled(context, http);
  const deadline = performance.now() + startDeadlineMs;
  for (;;) {
    const log = openLog(places);
    const ended = spawnDaemon(places, log.fd, http);
    closeSync(log.fd);
    const answer = await firstAnswer(context, ended, deadline);
    if (answer !== undefined) {
      output.note(`started the daemon (process ${answer.pid}), requests come in at ${answer.url}`);
      return answer;
    }
    // Another command starts one at the same time, or one just ends: by now that one answers, or its place is free.
    if (ended.status === exitStatusByCode.LOCKED && performance.now() < deadline) continue;
    throw notStarted(ended, log);
  }
}

const daemonVariables =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|TMPDIR|LANG|LANGUAGE|NO_COLOR|(LC|LD|NODE|UV|XDG|BRONZE)_.*)$/;

/** The daemon outlives the shell it was started from by months: what that holds, secrets among it, is none of its. */
function daemonEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => daemonVariables.test(name)));
}

/** How a daemon that was started has ended; all undefined while it runs. */
interface Ended {
  status?: number | null;
  how?: string;
}

function spawnDaemon(places: Places, logFd: number, http: HttpOptions): Ended {
  const child = spawn(
    process.execPath,
    [...daemonFlags, daemonEntry(), "--state", places.state, ...httpArguments(http)],
    {
      detached: true,
      cwd: "/",
      env: daemonEnvironment(process.env),
      stdio: ["ignore", logFd, logFd],
    },
  );
  const ended: Ended = {};
  child.once("error", (error) => (ended.how = error.message));
  child.once("exit", (code, killedBy) => {
    ended.status = code;
    ended.how = killedBy === null ? `it ended with status ${code}` : `it was killed by ${killedBy}`;
  });
  child.unref();
  return ended;
}

/** The daemon's first answer, ours or that of one which another command has started; undefined when ours has ended. */
async function firstAnswer(context: Context, ended: Ended, deadline: number): Promise<Ping | undefined> {
  let giveUpAt = deadline;
  let others = false;
  while (performance.now() < giveUpAt) {
    const answer = await pingDaemon(context);
    if (answer !== undefined) return answer;
    if (ended.how !== undefined && !others) {
      if (ended.status !== exitStatusByCode.LOCKED) return undefined;
      others = true;
      giveUpAt = Math.min(giveUpAt, performance.now() + othersMs);
    }
    await sleep(15, undefined, { signal: context.signal }).catch(() => context.signal.throwIfAborted());
  }
  return undefined;
}

function notStarted(ended: Ended, log: { readonly path: string; readonly size: number }): OperatorError {
  const said = ended.how === undefined ? undefined : lastError(log.path, log.size);
  return (
    said ??
    new OperatorError(
      "MACHINE_REFUSED",
      `Cannot start the daemon: ${ended.how ?? `no answer within ${startDeadlineMs / 1000} s`}`,
      {
        hint: `its log is ${log.path}; \`bronze doctor\` tells what this machine lacks`,
        cause: tail(log.path, log.size),
      },
    )
  );
}

/** Where systemd starts the daemon at boot it starts it now, too: one that nobody restarts would be in its way. */
async function startInstalled(context: Context, { httpHost, httpPort }: HttpOptions): Promise<Ping> {
  const { places, output } = context;
  rememberHttp(places, {
    ...(httpHost === undefined ? {} : { host: httpHost }),
    ...(httpPort === undefined ? {} : { port: parsePort(httpPort) }),
  });
  const unit = unitName(places);
  await systemctl(["start", unit], startDeadlineMs);
  const answer = await pingDaemon(context);
  if (answer !== undefined) {
    output.note(`started ${unit} (process ${answer.pid}), requests come in at ${answer.url}`);
    return answer;
  }
  throw new OperatorError("MACHINE_REFUSED", `Cannot start the daemon: ${unit} was started and does not answer`, {
    hint: `see \`journalctl -u ${unit}\``,
  });
}

/** The daemon's answer; undefined where none runs. */
export async function pingDaemon({ client, signal }: Context): Promise<Ping | undefined> {
  try {
    return await client.get<Ping>("/v1/ping", {}, signal);
  } catch (thrown) {
    if (isUnreachable(thrown)) return undefined;
    throw thrown;
  }
}

/** The daemon's program: beside the bundled CLI, or the source when the CLI runs from source. */
export function daemonEntry(): string {
  const started = realpathSync(process.argv[1] ?? "");
  if (basename(started) === "cli.js") return join(dirname(started), "daemon.js");
  return join(import.meta.dirname, "daemon-entry.ts");
}

/** @throws {OperatorError} `USAGE` */
export function parsePort(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new OperatorError("USAGE", `Cannot use "${text.slice(0, 80)}" as a port: not a number from 0 to 65535`, {
    hint: "0 takes a free one",
  });
}

/** @throws {OperatorError} `USAGE` */
export function checkHost(text: string): void {
  if (isIP(text) !== 0 || text === "localhost") return;
  throw new OperatorError("USAGE", `Cannot use "${text.slice(0, 80)}" as an address to listen on: it is none`, {
    hint: "give an IP address of this machine: 127.0.0.1 for itself only, 0.0.0.0 for all",
  });
}

export function httpArguments({ httpHost, httpPort }: HttpOptions): readonly string[] {
  return [
    ...(httpHost === undefined ? [] : ["--http-host", httpHost]),
    ...(httpPort === undefined ? [] : ["--http-port", httpPort]),
  ];
}

/** The log file, begun anew when it has grown; the one before is kept. */
function openLog(places: Places): { readonly fd: number; readonly path: string; readonly size: number } {
  mkdirSync(places.log, { recursive: true, mode: 0o711 });
  const path = join(places.log, "daemon.log");
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > logBytes) renameSync(path, `${path}.1`);
  return { fd: openSync(path, "a", 0o640), path, size: size > logBytes ? 0 : size };
}

/** The error that the daemon ended with, where it could still write it down. */
function lastError(path: string, from: number): OperatorError | undefined {
  const errors = readFileSync(path)
    .subarray(from)
    .toString()
    .trim()
    .split("\n")
    .flatMap((line) => {
      try {
        const { level, error } = JSON.parse(line) as { readonly level?: number; readonly error?: ErrorRecord };
        return level === fatalLevel && error !== undefined ? fromErrorRecord(error) : [];
      } catch {
        // Words of somebody else.
        return [];
      }
    });
  // Others that started one at the same time write here too, and most of them tell only of each other.
  return errors.findLast(({ code }) => code !== "LOCKED") ?? errors.at(-1);
}

/** What the daemon wrote since it was started: last lines, its structured ones in words. */
function tail(path: string, from: number): string {
  const lines = readFileSync(path).subarray(from).toString().trim().split("\n").slice(-12);
  return lines.map(inWords).join("\n");
}

function inWords(line: string): string {
  try {
    const { msg, error } = JSON.parse(line) as {
      readonly msg?: string;
      readonly error?: { readonly message?: string; readonly hint?: string };
    };
    return [msg, error?.message, error?.hint].filter((part) => part !== undefined).join(": ");
  } catch {
    return line;
  }
}
