import { mkdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { Controller } from "../controller/controller.ts";
import type { Log } from "../controller/ports.ts";
import { createAgeSecrets } from "../drivers/age/secrets.ts";
import { createHaproxyRouter } from "../drivers/haproxy/router.ts";
import { goFirst } from "../linux/priority.ts";
import { limitCoreDumps } from "../linux/programs.ts";
import { createKeyring } from "../drivers/keys/keyring.ts";
import { createKeyFolder } from "../drivers/keys/folder.ts";
import { createMetrics } from "../drivers/metrics/metrics.ts";
import { createProber } from "../drivers/prober.ts";
import { readLogs } from "../drivers/runc/logs.ts";
import { createRuncRuntime } from "../drivers/runc/runtime.ts";
import { volumeFolder } from "../drivers/volumes/layout.ts";
import { createVolumeStore } from "../drivers/volumes/volumes.ts";
import { openSqliteJournal, type SqliteJournal } from "../drivers/sqlite/journal.ts";
import { systemMachine } from "../drivers/system/machine.ts";
import { tellReady } from "../drivers/system/ready.ts";
import { OperatorError, asOperatorError } from "../errors/operator-error.ts";
import type { Ping } from "../model/api/asked.ts";
import { placesOf } from "../model/places.ts";
import { parseDurationMs } from "../model/quantities.ts";
import { createEvidence } from "../store/evidence.ts";
import { createLocalStore } from "../store/local.ts";
import { createVerifier } from "../store/verifier.ts";
import { createCheckpoints } from "./checkpoints.ts";
import { openLedger } from "./open-ledger.ts";
import { forgetSocket, listen } from "./socket.ts";
import { createLiveStorage } from "./storage-live.ts";
import { createServer } from "./server.ts";
import { version } from "./version.ts";

export interface DaemonOptions {
  readonly stateDir?: string;
  /** Where the router takes requests; port 0 takes a free one. */
  readonly http: { readonly host: string; readonly port: number };
  /** What stands between the controller and its ledger; absent: nothing. */
  readonly throughJournal?: (journal: SqliteJournal) => SqliteJournal;
  /** Called once when it takes requests. */
  readonly onReady?: () => void;
}

/** Time after which the daemon ends even if a step does not, in ms. */
const stopDeadlineMs = 15_000;

/**
 * Runs the daemon until SIGTERM or SIGINT, or until the last app is taken down. Instances and router outlive it, except
 * when everything is taken down.
 *
 * @throws {OperatorError} `LOCKED` when another daemon has the state folder, `MACHINE_LACKS` when not root,
 *   `MACHINE_REFUSED` when the router's port is taken
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new OperatorError("MACHINE_LACKS", "Cannot run the daemon: not root", {
      hint: "run it as root: it mounts images and makes networks",
    });
  }
  goFirst(process.pid);
  const places = placesOf(options.stateDir);
  for (const folder of [places.state, places.run, places.log]) mkdirSync(folder, { recursive: true, mode: 0o711 });
  const logger = pino({ level: logLevel(process.env["BRONZE_LOG"]), base: null }, { write: writeLogLine });
  const log: Log = (level, message, details) => logger[level](details ?? {}, message);
  const opened = openSqliteJournal(places.state);
  // It holds secrets, and instances inherit it.
  await limitCoreDumps();
  const journal = options.throughJournal?.(opened) ?? opened;
  const { state, boot, clock, recorder } = openLedger(journal);
  const startedAtMs = clock.monotonic();
  const stopped = Promise.withResolvers<{ readonly everything: boolean }>();

  const store = createLocalStore(join(places.state, "store"));
  const keyFolder = createKeyFolder(join(places.state, "keys"));
  const secrets = createAgeSecrets({ state: places.state, now: () => clock.wall() });
  const volumes = createVolumeStore({ folder: volumeFolder(places), wall: () => clock.wall() });
  const runtime = await createRuncRuntime({
    places,
    store,
    networks: new Map(state.networks),
    sharedSubnet: state.subnet,
    record: (data) => recorder.append(data),
    layerImages: new Map(state.layerImages),
    clock,
    secrets,
    volumes,
  });
  const router = createHaproxyRouter({
    places,
    bind: options.http,
    clock,
    onReload: (reason) => log("info", "the router was reloaded", { reason }),
    onGap: (reason) => log("warn", "requests were not counted", { reason }),
    onMended: (what) => log("warn", what),
  });
  recorder.append({ kind: "daemon.started", version, pid: process.pid, boot });
  const controller = new Controller(
    {
      runtime,
      router,
      journal,
      clock,
      prober: createProber(),
      machine: systemMachine,
      metrics: createMetrics(),
      evidence: createEvidence(store, { sign: (text) => keyring.sign(text), trust: () => keyring.trust() }),
      volumes,
      secrets,
      verifier: createVerifier({ store, keys: keyFolder.readTrust, now: () => clock.wall() }),
    },
    log,
    recorder,
  );
  const storage = createLiveStorage({
    places,
    store,
    runtime,
    journal,
    recorder,
    clock,
    signal: controller.signal,
    onError: (error) => log("warn", "cannot check what is stored", { error: asOperatorError(error) }),
  });

  const keyring = createKeyring(keyFolder.path, {
    now: () => clock.wall(),
    signal: controller.signal,
    onFirstKey: ({ id }, path) => log("info", "made this machine's signing key", { key: id, path }),
  });

  const checkpoints = createCheckpoints({
    stateDir: places.state,
    journal,
    recorder,
    signer: keyring,
    clock,
    everyMs: checkpointInterval(process.env["BRONZE_CHECKPOINT_EVERY"]),
    onError: (error) => log("warn", "cannot sign the ledger", { error: asOperatorError(error) }),
  });

  const ping = (): Ping => {
    const { host, port } = router.address();
    return { version, pid: process.pid, uptimeMs: Math.round(clock.monotonic() - startedAtMs), url: urlOf(host, port) };
  };
  const server = createServer({
    controller,
    ping,
    logs: (query) => readLogs(places, query),
    storage: storage.check,
    storageWarnings: () => [...storage.warnings(), ...[checkpoints.problem()].filter((problem) => problem !== null)],
    checkpoint: checkpoints.make,
    onAllDown: () => stopped.resolve({ everything: true }),
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => stopped.resolve({ everything: false }));

  try {
    await controller.start();
    await listen(server, places);
    storage.start();
    checkpoints.start();
    tellReady(process.env, (problem) => log("warn", "cannot tell the service manager", { problem: problem.message }));
    log("info", "ready", { socket: places.socket, url: ping().url });
    options.onReady?.();
    const { everything } = await stopped.promise;
    await server.close();
    await checkpoints.stop();
    await storage.stop();
    await Promise.race([controller.stop(), new Promise((resolve) => setTimeout(resolve, stopDeadlineMs).unref())]);
    if (everything) {
      await router.stop();
      await runtime.close();
    } else {
      await router.detach();
      runtime.stop();
    }
    recorder.append({ kind: "daemon.stopped" });
  } catch (error) {
    await controller.stop();
    await router.detach().catch(() => {});
    runtime.stop();
    throw error;
  } finally {
    await checkpoints.stop();
    await storage.stop();
    journal.close();
    forgetSocket(places);
  }
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** @throws {OperatorError} `ARGUMENT_INVALID` */
function logLevel(text: string | undefined): string {
  if (text === undefined || text === "") return "info";
  if (logLevels.includes(text)) return text;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use BRONZE_LOG "${text.slice(0, 40)}": no such level`, {
    hint: `unset it, or use one of ${logLevels.join(", ")}`,
  });
}

const usualCheckpointMs = 3_600_000;

/** How often the ledger is signed where anything happened, in ms; null: when it is asked for. @throws {OperatorError} `ARGUMENT_INVALID` */
function checkpointInterval(text: string | undefined): number | null {
  if (text === undefined || text === "") return usualCheckpointMs;
  if (text === "off") return null;
  try {
    return Math.max(1_000, parseDurationMs(text));
  } catch (cause) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot use BRONZE_CHECKPOINT_EVERY "${text.slice(0, 40)}"`, {
      hint: 'unset it, or write "off" or a time: 1h, 15m',
      cause,
    });
  }
}

function urlOf(host: string, port: number): string {
  const name = host === "0.0.0.0" || host === "" ? "127.0.0.1" : host;
  return new URL(`http://${name}:${port}`).href.replace(/\/$/, "");
}

/** A log that cannot be written, on a full disk above all, must not end the daemon; the line is lost. */
function writeLogLine(line: string): void {
  try {
    writeSync(process.stdout.fd, line);
  } catch {
    // Nowhere is left to say it.
  }
}
