import { execFileSync, spawn } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { createVolume, type Volume, type VolumeKind } from "./volume.ts";
import type { DeployResult as AnyDeployResult, ReleaseRow } from "../../src/model/api/releases.ts";
import type { EnvironmentStatus, StatusReport } from "../../src/model/api/status.ts";

/** Helpers of the tests that drive the whole product the way a user does: by its command, on real processes. */
export const launcher = join(import.meta.dirname, "..", "..", "bronze");
const busybox = "/bin/busybox";

/** What the API says of an app that has a route, as the tests' apps have where nothing else is said. */
export type Reached<Answer extends { readonly url: string | null }> = Answer & { readonly url: string };
export type DeployResult = Reached<AnyDeployResult>;

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A state folder, a project in it, and the command run against both. */
export interface Site {
  readonly state: string;
  readonly project: string;
  /** Runs `bronze ARGS --state …` in the project. */
  bronze(
    args: readonly string[],
    options?: {
      readonly signal?: AbortSignal;
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
      /** What it reads from standard input; absent: nothing. */
      readonly input?: string;
    },
  ): Promise<CommandResult>;
  /** The same with `--json`; fails the test unless it exits 0, and gives the last line as JSON. */
  json<Result>(args: readonly string[]): Promise<Result>;
  status(): Promise<Reached<EnvironmentStatus>>;
  releases(): Promise<readonly ReleaseRow[]>;
  /** Writes files of the project; a mode makes them executable. */
  write(files: Readonly<Record<string, string>>, mode?: number): void;
  /** Writes bronze.yaml for the busybox app, with lines added to `run` and to the environment. */
  define(options?: {
    readonly run?: readonly string[];
    readonly environment?: readonly string[];
    readonly app?: string;
    readonly top?: readonly string[];
    /** Default 2. */
    readonly instances?: number;
  }): void;
}

/**
 * Makes a site whose app is busybox's httpd; taken down and removed when the test ends.
 *
 * @param disk a small file system of its own for the state folder
 * @param stateIn path of the state folder in the site's own folder
 */
export function createSite(
  t: Pick<TestContext, "after">,
  disk?: { readonly kind: VolumeKind; readonly mebibytes: number },
  stateIn = (folder: string): string => join(folder, "state"),
): Site & { readonly volume: Volume | undefined } {
  const folder = mkdtempSync(join(tmpdir(), "bz-"));
  const state = stateIn(folder);
  const project = join(folder, "project");
  mkdirSync(join(project, "root/bin"), { recursive: true });
  if (!existsSync(busybox)) throw new Error("busybox-static is missing: ./check installs it");
  copyFileSync(busybox, join(project, "root/bin/busybox"));
  chmodSync(join(project, "root/bin/busybox"), 0o755);
  const volume =
    disk === undefined ? undefined : createVolume(state, disk.kind, disk.mebibytes, join(folder, "volume.ext4"));
  const site: Site & { readonly volume: Volume | undefined } = {
    volume,
    state,
    project,
    bronze: (args, options = {}) => run(launcher, [...args, "--state", state], options.cwd ?? project, options),
    async json<Result>(args: readonly string[]): Promise<Result> {
      const result = await site.bronze([...args, "--json"]);
      if (result.status !== 0)
        throw new Error(`bronze ${args.join(" ")} exited ${result.status}: ${result.stderr}${result.stdout}`);
      const text = result.stdout.trim();
      try {
        return JSON.parse(text) as Result;
      } catch {
        return JSON.parse(text.slice(text.lastIndexOf("\n") + 1)) as Result;
      }
    },
    async status() {
      const report = await site.json<StatusReport>(["status"]);
      const environment = report.environments[0];
      if (environment === undefined) throw new Error("status knows no environment");
      return environment as Reached<EnvironmentStatus>;
    },
    releases: () => site.json<readonly ReleaseRow[]>(["releases"]),
    write(files, mode = 0o644) {
      for (const [path, text] of Object.entries(files)) {
        const file = join(project, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
        chmodSync(file, mode);
      }
    },
    define(options = {}) {
      const lines = [
        `app: ${options.app ?? "shop"}`,
        "build: { dockerfile: Dockerfile }",
        ...(options.top ?? []),
        "run:",
        "  port: 8080",
        ...(options.run ?? []).map((line) => `  ${line}`),
        "environments:",
        "  production:",
        ...[`instances: ${options.instances ?? 2}`, ...(options.environment ?? [])].map((line) => `    ${line}`),
        "",
      ];
      site.write({ "bronze.yaml": lines.join("\n") });
    },
  };
  site.write({ Dockerfile: dockerfile(server), "root/www/index.html": "v1\n" });
  site.define();
  t.after(async () => {
    volume?.empty();
    await site.bronze(["down", "--all"]);
    // Layer images are immutable for the kernel until told otherwise.
    if (volume === undefined && existsSync(join(state, "layers")))
      execFileSync("chattr", ["-R", "-i", join(state, "layers")]);
    volume?.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  return site;
}

/** Busybox's httpd under a shell that ends at SIGTERM: a first process without a handler would ignore it. */
export const server = [
  "/bin/busybox",
  "sh",
  "-c",
  "trap 'kill $!; exit 0' TERM; /bin/busybox httpd -f -p 8080 -h /www & wait $!",
];

export function dockerfile(command: readonly string[]): string {
  return ["FROM scratch", "COPY root/ /", "USER 65532:65532", `CMD ${JSON.stringify(command)}`, ""].join("\n");
}

function run(
  file: string,
  args: readonly string[],
  cwd: string,
  { signal, env = {}, input }: Parameters<Site["bronze"]>[1] & object,
): Promise<CommandResult> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    const interrupt = (): void => void child.kill("SIGINT");
    signal?.addEventListener("abort", interrupt, { once: true });
    // One that needs no input may end before it is given any.
    child.stdin?.on("error", () => {}).end(input);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    // "exit", not "close": a daemon that the command started may keep the pipes.
    child.once("exit", (status) =>
      setImmediate(() => resolve({ status, stdout, stderr, ms: performance.now() - began })),
    );
  });
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One GET on a new connection, never repeated. */
export function get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent: false, headers, timeout: 5_000 }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
        response.once("error", reject);
      })
      .once("timeout", function (this: http.ClientRequest) {
        this.destroy(new Error("no answer within 5 s"));
      })
      .once("error", reject);
  });
}

/** Asks again and again until told to stop; what failed is listed, nothing is repeated. */
export function keepAsking(
  url: string,
  everyMs = 5,
  headers: Readonly<Record<string, string>> = {},
): {
  stop(): Promise<{
    readonly requests: number;
    readonly failures: readonly string[];
    readonly bodies: readonly string[];
  }>;
} {
  const failures: string[] = [];
  const bodies = new Set<string>();
  let requests = 0;
  let stopped = false;
  const loop = async (): Promise<void> => {
    while (!stopped) {
      requests += 1;
      try {
        const { status, body } = await get(url, headers);
        if (status !== 200) failures.push(`status ${status}`);
        else bodies.add(body.trim());
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  const loops = [loop(), loop(), loop(), loop()];
  return {
    async stop() {
      stopped = true;
      await Promise.all(loops);
      return { requests, failures, bodies: [...bodies].sort() };
    },
  };
}

/** Waits until a condition holds. @throws after `mostMs` */
export async function eventually(
  what: string,
  condition: () => Promise<boolean> | boolean,
  mostMs = 30_000,
): Promise<void> {
  const end = performance.now() + mostMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what}: not so within ${mostMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
