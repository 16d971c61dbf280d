import { readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Ping } from "../../model/api/asked.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { checkHost, daemonEntry, parsePort, pingDaemon, type HttpOptions } from "../daemon-start.ts";
import { writeDurably } from "../durable.ts";
import { isActive, isSystemdRunning, systemctl, unitPath } from "../install/systemd.ts";
import { renderUnit, unitName } from "../install/unit.ts";
import { rememberHttp } from "../remembered-http.ts";
import { withHttp } from "./serve.ts";

interface InstallOptions extends SharedOptions, HttpOptions {
  readonly print?: boolean;
  readonly remove?: boolean;
}

/** Longest time a daemon may take to end, in ms. */
const endMs = 30_000;
/** Longest time systemd waits for the daemon, and some more, in ms. */
const startMs = 330_000;

export function installCommand(): Command {
  return withHttp(withShared(new Command("install")))
    .description(
      "Has systemd start the daemon at boot and after a crash. A daemon that runs already is handed over; no request is lost.",
    )
    .option("--print", "only print the unit; nothing is changed")
    .option("--remove", "take the unit away; instances and router go on without a daemon")
    .action(async (options: InstallOptions) => {
      const context = createContext(options, "what systemd was told goes on: look with `systemctl status`");
      const { output, places } = context;
      const unit = unitName(places);
      const path = unitPath(places);
      if (options.print === true) {
        const text = renderUnit({ node: process.execPath, daemon: daemonEntry(), state: places.state });
        output.line(text.trimEnd());
        output.record({ unit, path, text });
        return;
      }
      checkMachine(unit);
      const did = options.remove === true ? await remove(context, unit, path) : await install(context, options);
      output.record({ unit, path, did });
      for (const one of did) output.line(one);
    });
}

function checkMachine(unit: string): void {
  if (!isSystemdRunning()) {
    throw new OperatorError("MACHINE_LACKS", `Cannot install ${unit}: systemd does not run this machine`, {
      hint: "start `bronze serve` at boot by what does; `bronze install --print` shows what systemd would be told",
    });
  }
  if (process.getuid?.() !== 0)
    throw new OperatorError("MACHINE_REFUSED", `Cannot install ${unit}: not root`, { hint: "run it as root" });
}

async function install(context: Context, { httpHost, httpPort }: HttpOptions): Promise<readonly string[]> {
  const { places } = context;
  const unit = unitName(places);
  const path = unitPath(places);
  if (httpHost !== undefined) checkHost(httpHost);
  const asked = {
    ...(httpHost === undefined ? {} : { host: httpHost }),
    ...(httpPort === undefined ? {} : { port: parsePort(httpPort) }),
  };
  const did: string[] = [];
  const { http, changed: moved } = rememberHttp(places, asked);
  const text = renderUnit({ node: process.execPath, daemon: daemonEntry(), state: places.state });
  const changed = textOf(path) !== text;
  if (changed) {
    writeDurably(path, text);
    await systemctl(["daemon-reload"]);
    did.push(`wrote ${path}`);
  }
  await systemctl(["enable", "--quiet", unit]);
  if (await isActive(unit)) {
    if (changed || moved) {
      await systemctl(["restart", unit], startMs);
      did.push(`restarted ${unit}; instances and router went on`);
    }
  } else {
    const running = await pingDaemon(context);
    if (running !== undefined) {
      await end(context, running);
      did.push(`ended the daemon that was started by hand (process ${running.pid}); instances and router went on`);
    }
    await systemctl(["start", unit], startMs);
    did.push(`started ${unit}`);
  }
  const answer = await pingDaemon(context);
  const at = answer?.url ?? `${http.host}:${http.port}`;
  return [...did, `${unit} starts at boot; requests come in at ${at}; its log: journalctl -u ${unit}`];
}

async function remove(context: Context, unit: string, path: string): Promise<readonly string[]> {
  if (textOf(path) === undefined) return [`${unit} is not installed: nothing was changed`];
  await systemctl(["disable", "--now", "--quiet", unit], startMs);
  rmSync(path, { force: true });
  await systemctl(["daemon-reload"]);
  return [
    `removed ${path}; what ran goes on, without a daemon`,
    "next: `bronze up` starts a daemon by hand, `bronze down --all` takes everything down",
  ];
}

/** A daemon that ends leaves instances and router; the next one takes them over. */
async function end({ signal }: Context, { pid }: Ping): Promise<void> {
  const deadline = performance.now() + endMs;
  process.kill(pid, "SIGTERM");
  while (isAlive(pid)) {
    if (performance.now() > deadline) {
      throw new OperatorError(
        "LOCKED",
        `Cannot hand over: the daemon, process ${pid}, still runs after ${endMs / 1000} s`,
        {
          hint: "end it by hand, then run this again",
        },
      );
    }
    await sleep(20, undefined, { signal });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
