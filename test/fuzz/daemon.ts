import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request, sendRaw, statusOf } from "../support/socket.ts";

const launcher = join(import.meta.dirname, "..", "..", "bronze");

export interface FuzzedDaemon {
  readonly socket: string;
  /** Whether it is still the process that was started. */
  alive(): Promise<boolean>;
  /** Ends it and all it started, and removes its folder. */
  stop(): Promise<void>;
}

function end(args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(launcher, args, { stdio: "ignore" });
    child.once("error", reject);
    child.once("exit", resolve);
  });
}

/** A real daemon with a state folder of its own, and no app. */
export async function startDaemon(): Promise<FuzzedDaemon> {
  const state = mkdtempSync(join(tmpdir(), "bz-fuzz-"));
  const socket = join(state, "run/bronze.sock");
  const child = spawn(launcher, ["serve", "--state", state, "--http-host", "127.0.0.1", "--http-port", "0"], {
    stdio: "ignore",
  });
  let ended = false;
  child.once("exit", () => (ended = true));
  const alive = async (): Promise<boolean> =>
    !ended && statusOf((await sendRaw(socket, request("GET", "/v1/ping"))).text) === 200;
  const stop = async (): Promise<void> => {
    await end(["down", "--all", "--state", state]);
    if (!ended) child.kill("SIGKILL");
    rmSync(state, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 600; tries += 1) {
    if (await alive()) return { socket, alive, stop };
    if (ended) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stop();
  throw new Error("the daemon to fuzz did not start");
}
