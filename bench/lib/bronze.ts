import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createApiClient, type ApiClient } from "../../src/cli/api-client.ts";
import { openPlace } from "../../src/cli/demo/place.ts";
import { machineMs } from "../../src/load/probe.ts";
import { fromErrorRecord } from "../../src/errors/operator-error.ts";
import type { Ping, StreamLine } from "../../src/model/api/asked.ts";
import type { DeployRequest, DeployResult } from "../../src/model/api/releases.ts";
import type { EnvironmentStatus, StatusReport } from "../../src/model/api/status.ts";
import type { Digest } from "../../src/model/canonical.ts";
import {
  defaultEnvironmentSettings,
  defaultRunSettings,
  type EnvironmentSettings,
  type RunSettings,
} from "../../src/model/content.ts";
import type { AppName } from "../../src/model/names.ts";
import type { Config } from "../../src/model/config.ts";
import type { Places } from "../../src/model/places.ts";
import { stopsOnce } from "./cleanup.ts";
import { attempt, run } from "./process.ts";

export const root = join(import.meta.dirname, "../..");
export const launcher = join(root, "bronze");
export const loadMain = join(root, "src/load/main.ts");
export const demoApp = join(root, "examples/demo-app");

/** What a bench is about; one app in one environment is enough. */
const target = { app: "shop", environment: "production", who: "bench", why: "" } as const;

export interface Asked {
  readonly result: DeployResult;
  /** When the request was written and when its result came, in ms of the machine's monotonic clock. */
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
}

/** A daemon of the bench's own, in a state folder of its own. */
export interface Bronze {
  readonly places: Places;
  readonly client: ApiClient;
  readonly ping: Ping;
  readonly address: { readonly host: string; readonly port: number };
  /** Builds a project into the store, as `bronze build` does. */
  build(
    name: string,
    files: Readonly<Record<string, string>>,
    copies?: Readonly<Record<string, string>>,
  ): Promise<Digest>;
  deploy(
    artifact: Digest,
    settings: Partial<RunSettings>,
    environment: Partial<EnvironmentSettings>,
    others?: Partial<DeployRequest>,
    progress?: (line: Extract<StreamLine<unknown>, { kind: "progress" }>) => void,
  ): Promise<Asked>;
  /** The same for another app than the bench's own. */
  deployAs(app: AppName, artifact: Digest, environment: Partial<EnvironmentSettings>): Promise<Asked>;
  /** Goes back; without a release to the nearest proven one. */
  rollback(to?: number): Promise<Asked>;
  /** Sets variables of the config, all in one release. */
  config(set: Config): Promise<Asked>;
  /** Takes the bench's app down. */
  down(): Promise<Asked>;
  scale(instances: number): Promise<Asked>;
  /** Ends the daemon by SIGKILL; what runs goes on. */
  killDaemon(): Promise<void>;
  /** Starts it again. @returns its answer, once it answers */
  startDaemon(): Promise<Ping>;
  status(): Promise<EnvironmentStatus>;
  until(what: string, wanted: (status: EnvironmentStatus) => boolean, timeoutMs?: number): Promise<EnvironmentStatus>;
  /** Runs `./bronze …` as a whole process. */
  cli(...args: readonly string[]): Promise<string>;
  /** The same with text on its standard input. */
  cliWith(stdin: string, ...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts the daemon from this checkout. One bench at a time: the folder is locked. */
export async function startBronze(folder = "bronze-bench"): Promise<Bronze> {
  const place = await openPlace(launcher, join(tmpdir(), folder));
  const { places } = place;
  const env = { ...process.env, BRONZE_STATE: places.state, NO_COLOR: "1" };
  const client = createApiClient(places.socket);
  let daemon: ChildProcess | undefined;
  const stop = stopsOnce(async () => {
    await place.clear();
    daemon?.kill("SIGTERM");
  });
  const serve = async (port: number): Promise<Ping> => {
    daemon = spawn(launcher, ["serve", "--http-host", "127.0.0.1", "--http-port", String(port)], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
      // Ctrl-C is for the bench, which then takes everything down in order.
      detached: true,
    });
    let said = "";
    daemon.stderr?.on("data", (text: Buffer) => void (said = (said + text.toString()).slice(-4000)));
    return answered(client, daemon, () => said);
  };
  let ping: Ping;
  try {
    ping = await serve(0);
  } catch (error) {
    await stop();
    throw error;
  }
  const ask = async (
    path: string,
    body: object,
    progress: Parameters<Bronze["deploy"]>[4] = () => {},
  ): Promise<Asked> => {
    const askedAtMs = machineMs();
    for await (const line of client.stream<StreamLine<DeployResult>>("POST", path, { body: { ...target, ...body } })) {
      if (line.kind === "progress") progress(line);
      if (line.kind === "result") return { result: line.result, askedAtMs, answeredAtMs: machineMs() };
      if (line.kind === "error") throw fromErrorRecord(line.error);
    }
    throw new Error(`POST ${path} ended without a result`);
  };
  const status = async (): Promise<EnvironmentStatus> => {
    const [environment] = (
      await client.get<StatusReport>("/v1/status", { app: target.app, environment: target.environment })
    ).environments;
    if (environment === undefined) throw new Error("the daemon knows nothing of the bench's app");
    return environment;
  };
  const deploy = (
    artifact: Digest,
    settings: Partial<RunSettings>,
    environment: Partial<EnvironmentSettings>,
    others: Partial<DeployRequest> = {},
    progress?: Parameters<Bronze["deploy"]>[4],
  ): Promise<Asked> =>
    ask(
      "/v1/deploy",
      {
        artifact,
        settings: { ...defaultRunSettings, ...settings },
        config: {},
        environmentSettings: { ...defaultEnvironmentSettings, watchMs: 0, ...environment },
        ...others,
      },
      progress,
    );
  const url = new URL(ping.url);
  return {
    places,
    client,
    ping,
    killDaemon: async () => {
      const ended = once(daemon as ChildProcess, "exit");
      process.kill((await client.get<Ping>("/v1/ping")).pid, "SIGKILL");
      await ended;
    },
    startDaemon: () => serve(Number(url.port || 80)),
    scale: (instances) => ask("/v1/scale", { instances }),
    address: { host: url.hostname, port: Number(url.port || 80) },
    build: async (name, files, copies = {}) => {
      const folder = join(place.project, name);
      await mkdir(folder, { recursive: true });
      for (const [to, from] of Object.entries(copies)) await cp(from, join(folder, to), { recursive: true });
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
      }
      const { digest } = JSON.parse(await run(launcher, ["build", "--json"], { cwd: folder, env })) as {
        digest: Digest;
      };
      return digest;
    },
    deploy,
    deployAs: (app, artifact, environment) => deploy(artifact, {}, environment, { app }),
    rollback: (to) => ask("/v1/rollback", to === undefined ? {} : { to }),
    config: (set) => ask("/v1/config", { set }),
    down: () => ask("/v1/down", {}),
    status,
    until: async (what, wanted, timeoutMs = 60_000) => {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const now = await status();
        if (wanted(now)) return now;
        if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain until ${what}`);
        await sleep(20);
      }
    },
    cli: (...args) => run(launcher, args, { env, cwd: place.project }),
    cliWith: (stdin, ...args) => run(launcher, args, { env, cwd: place.project, stdin }),
    stop,
  };
}

async function answered(client: ApiClient, daemon: ChildProcess, said: () => string): Promise<Ping> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const ping = await client.get<Ping>("/v1/ping").catch(() => undefined);
    if (ping !== undefined) return ping;
    if (daemon.exitCode !== null || performance.now() > deadline)
      throw new Error(`the daemon did not start\n${said()}`);
    await sleep(20);
  }
}

/** Nothing of what was replaced is left, and what is warm has just been probed. */
export function isSettled({ instances, rollout, rollback, wanted, healthy }: EnvironmentStatus): boolean {
  return (
    rollout === null &&
    healthy >= wanted &&
    instances.every(({ role }) => role !== "ending") &&
    (rollback.target === null || rollback.warm === 0 || rollback.ready)
  );
}

/** The definition of the Node app in a version; built on Debian's nodejs. */
export function nodeProject(version: string): Readonly<Record<string, string>> {
  return {
    "bronze.yaml": `app: shop
build:
  debian: bookworm
  packages: [nodejs]
  copy: [package.json, server.js, behaviour.js]
  command: [node, server.js]
`,
    "behaviour.js": `export const version = "${version}";\nexport const greeting = "Hello.";\nexport const healthy = () => true;\nexport const mayAnswer = () => true;\n`,
  };
}

/** A static file server of one static program: an image of about 2 MB. */
export function staticProject(text: string): Readonly<Record<string, string>> {
  return {
    "bronze.yaml": "app: shop\nbuild: { dockerfile: Dockerfile }\n",
    Dockerfile: `FROM scratch
COPY busybox /bin/busybox
COPY www /www
EXPOSE 8080
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
`,
    "www/index.html": `${text}\n`,
  };
}

/** An OCI layout of one image of the store, made of links: for skopeo. */
export async function layoutOf(bronze: Bronze, artifact: Digest, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await attempt("ln", ["-s", join(bronze.places.state, "store/blobs"), join(folder, "blobs")]);
  const blob = join(bronze.places.state, "store/blobs/sha256", artifact.slice(7));
  const size = Number((await run("stat", ["-c", "%s", blob])).trim());
  const descriptor = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: artifact, size };
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
}
