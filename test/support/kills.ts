import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createApiClient, type ApiClient } from "../../src/cli/api-client.ts";
import type { EventKind, LedgerEvent } from "../../src/ledger/event.ts";
import { Executions } from "../../src/load/executions.ts";
import { startLoad } from "../../src/load/process.ts";
import type { LoadReport } from "../../src/load/protocol.ts";
import type { Ping } from "../../src/model/api/asked.ts";
import type { ReleaseRow } from "../../src/model/api/releases.ts";
import type { EnvironmentStatus, StatusReport } from "../../src/model/api/status.ts";
import type { AuditReport } from "../../src/model/api/trust.ts";
import { placesOf } from "../../src/model/places.ts";
import { bundled } from "./bundled.ts";
import { createSite, eventually, get, type CommandResult, type Site, type DeployResult } from "./bronze.ts";
import type { KillPoint, KillReport } from "./killed-daemon.ts";
import { leaksOf, rightfulOf } from "./leaks.ts";
import { nodeAppLoad, writeNodeApp } from "./node-app.ts";

const killedDaemon = join(import.meta.dirname, "killed-daemon.ts");
const loadMain = join(import.meta.dirname, "../../src/load/main.ts");
const instances = 2;
/** A command that follows its work waits 10 s for a daemon that went away; it begins to a moment earlier. */
const patienceMs = 9_000;

/** What is done while the daemon is killed. */
export type Operation = "deploy" | "warm rollback" | "cold rollback";
export const operations: readonly Operation[] = ["deploy", "warm rollback", "cold rollback"];

/** One kill, or two in a row, and how it went on. */
export interface Kill {
  readonly points: readonly KillPoint[];
  /** Events of the appends at which the daemon died. */
  readonly reports: readonly KillReport[];
  /** From the start of the next daemon to its first answer. */
  readonly restartMs: number;
}

/** A site under load whose daemon is killed again and again. */
export interface KillSite {
  /** The kinds of event that an operation records when nobody is killed, in order. */
  cleanEvents(operation: Operation): Promise<readonly EventKind[]>;
  /**
   * Kills the daemon at a point of an operation (and the next daemon at further ones), lets a last one go on, and
   * checks everything: state, bodies, leaks, chain, what the command said.
   *
   * @param next the point of the next call, where one follows: the last daemon has it already
   * @throws {AssertionError} which names the point, when anything is not as it must be
   */
  kill(operation: Operation, points: readonly KillPoint[], next?: KillPoint): Promise<Kill>;
  /** Ends the load. Failed ones include uploads that were executed twice, or never though they were answered. */
  stopLoad(): Promise<{ readonly requests: number; readonly failed: number; readonly examples: readonly string[] }>;
}

/** Makes a site with one app of two instances under load; it is taken down when the test ends. */
export async function createKillSite(t: Pick<TestContext, "after">): Promise<KillSite> {
  const site = createSite(t);
  const places = placesOf(site.state);
  const client = createApiClient(places.socket);
  let version = 1;
  writeNodeApp(site, textOf(version));
  define(site, "deploy", version);
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  await stopDaemon(client);
  const program = await bundled(killedDaemon, join(site.state, "../killed-daemon"));
  const daemon = new Daemon(program, site.state, client);
  t.after(() => daemon.stop());
  await daemon.start(undefined);
  const load = await startLoad(loadMain, nodeAppLoad(url));
  t.after(() => load.kill());
  const executions = new Executions(join(places.log, "instances"));
  const reports: LoadReport[] = [];

  /** Everything has come to rest, and nothing is there that should not be. */
  async function settle(liveText: string): Promise<EnvironmentStatus> {
    let leaks: readonly string[] = [];
    let last: EnvironmentStatus | undefined;
    const isAtRest = async (): Promise<boolean> => {
      const report = await client.get<StatusReport>("/v1/status");
      last = report.environments[0];
      if (last === undefined || !isSettled(last)) return false;
      leaks = leaksOf(site.state, rightfulOf(report, await client.get<readonly ReleaseRow[]>("/v1/releases")));
      return leaks.length === 0;
    };
    await eventually("all has come to rest", isAtRest, 60_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\nleaked: ${leaks.join("\n")}\n${JSON.stringify(last)}`);
    });
    for (const { body } of await Promise.all(Array.from({ length: 8 }, () => get(url))))
      assert.ok(body.includes(`version ${liveText},`), `answered ${body}, live is ${liveText}`);
    assert.ok(last);
    return last;
  }

  /** Brings the site to where the operation begins. @returns the texts that are live before and after it */
  async function prepare(operation: Operation): Promise<{ readonly before: string; readonly after: string }> {
    const before = textOf(version);
    version += 1;
    const after = textOf(version);
    writeNodeApp(site, after);
    define(site, operation, version);
    if (operation === "deploy") return { before, after };
    const since = await lastSeq();
    await site.json<DeployResult>(["up"]);
    await eventually("a rollback has a target", async () => {
      const { environments } = await client.get<StatusReport>("/v1/status");
      const status = environments[0];
      const kinds = (await eventsAfter(since)).map(({ data }) => data.kind);
      const retired = kinds.filter((kind) => kind === "set.retired").length;
      const removed = kinds.filter((kind) => kind === "set.removed").length;
      if (status === undefined || !isSettled(status) || retired !== removed) return false;
      return operation === "warm rollback" ? status.rollback.ready : status.instances.length === instances;
    });
    return { before: after, after: before };
  }

  const operate = (operation: Operation): Promise<CommandResult> =>
    site.bronze([operation === "deploy" ? "up" : "rollback", "--json"]);
  const eventsAfter = (seq: number): Promise<readonly LedgerEvent[]> =>
    client.get<readonly LedgerEvent[]>("/v1/history", { after: seq, limit: 1000 });
  const lastSeq = async (): Promise<number> => (await client.get<AuditReport>("/v1/audit")).events;

  async function check(
    operation: Operation,
    since: number,
    texts: { before: string; after: string },
    cli: CommandResult,
    awayMs = 0,
  ) {
    const events = await eventsAfter(since);
    const type = operation === "deploy" ? "deploy" : "rollback";
    const created = events.filter(({ data }) => data.kind === "release.created");
    const accepted = created.length > 0;
    if (!accepted) version = Number(texts.before.split("-")[1]);
    else version = Number(texts.after.split("-")[1]);
    const status = await settle(accepted ? texts.after : texts.before);
    assert.ok(created.length <= 1, "the release was made twice");
    const rows = await client.get<readonly ReleaseRow[]>("/v1/releases");
    const row = rows.toSorted((a, b) => b.release - a.release)[0];
    const live = rows.filter((one) => one.live);
    assert.deepEqual(
      live.map(({ release }) => release),
      [status.live?.release],
    );
    if (accepted) {
      // On a machine that does much else daemons may take longer to come back than a command waits for them.
      if (cli.status !== 9 || awayMs < patienceMs) {
        assert.equal(cli.status, 0, `the command failed though the release went live: ${cli.stderr}`);
        assert.equal((JSON.parse(cli.stdout) as DeployResult).release, row?.release);
      }
      assert.deepEqual([row?.type, row?.live, row?.state, row?.failure], [type, true, "proven", null]);
    } else {
      assert.equal(cli.status, 9, `the command ended with ${cli.status} though nothing was accepted: ${cli.stderr}`);
    }
    const later = await eventsAfter(since);
    const switched = later.filter(({ data }) => data.kind === "traffic.switched");
    assert.equal(switched.length, accepted ? 1 : 0, "switches recorded");
    const audit = await client.get<AuditReport>("/v1/audit");
    assert.deepEqual([audit.ok, audit.damage, audit.projectionsEqual], [true, null, true]);
    const report = await load.window();
    await executions.scan();
    reports.push(report);
    assert.equal(report.failed, 0, `the load lost requests: ${report.examples.join("; ")}`);
  }

  return {
    async cleanEvents(operation) {
      await daemon.arm(undefined);
      // The first of its kind leaves what the second finds.
      for (const round of [1, 2]) {
        const texts = await prepare(operation);
        const since = await lastSeq();
        const cli = await operate(operation);
        await check(operation, since, texts, cli);
        // What is recorded in the background, such as the measurement, is recorded by now.
        await sleep(500);
        if (round === 2) return ownKinds(await eventsAfter(since));
      }
      return [];
    },
    async kill(operation, points, next) {
      const [first, ...further] = points;
      await daemon.arm(first);
      const texts = await prepare(operation);
      const since = await lastSeq();
      const operating = operate(operation);
      const killed: KillReport[] = [];
      let restartMs = 0;
      let diedAtMs: number | undefined;
      try {
        for (const point of [...further, next]) {
          killed.push(await daemon.died());
          diedAtMs ??= performance.now();
          restartMs = await daemon.start(point);
        }
        const awayMs = performance.now() - (diedAtMs ?? performance.now());
        await check(operation, since, texts, await operating, awayMs);
      } catch (error) {
        await operating;
        const names = points.map((point) => `${point.moment} ${point.kind} ${point.occurrence}`).join(", then ");
        throw new Error(`${operation} killed ${names}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
      return { points, reports: killed, restartMs };
    },
    async stopLoad() {
      reports.push(await load.stop());
      await sleep(200);
      await executions.scan();
      const uploaded = reports.flatMap((report) => report.uploaded);
      const uploadFailures = reports.flatMap((report) => report.uploadFailures);
      const last = reports.at(-1);
      assert.ok(last);
      const { never, twice } = executions.wrong({ ...last, uploaded, uploadFailures });
      const sum = (of: (report: LoadReport) => number): number => reports.reduce((all, one) => all + of(one), 0);
      return {
        requests: sum(({ requests }) => requests),
        failed: sum(({ failed }) => failed) + never + twice,
        examples: [
          ...reports.flatMap(({ examples }) => examples),
          ...(never + twice === 0 ? [] : [`of ${uploaded.length} uploads ${never} never executed, ${twice} twice`]),
        ],
      };
    },
  };
}

/** What belongs to the release that was made: not, say, the measurement of the rollout before. */
function ownKinds(events: readonly LedgerEvent[]): readonly EventKind[] {
  const at = events.findIndex(({ data }) => data.kind === "release.created");
  const created = events[at]?.data;
  return events
    .slice(at)
    .filter(
      ({ data }) =>
        data.kind !== "rollout.measured" || (created?.kind === "release.created" && data.release === created.release),
    )
    .map(({ data }) => data.kind);
}

function textOf(version: number): string {
  return `content-${version}`;
}

function define(site: Site, operation: Operation, version: number): void {
  const watch = operation === "deploy" ? "300ms" : "60s";
  const keepWarm = operation === "warm rollback" ? "30m" : "0s";
  // A setting that differs each time, so that what is not content comes into effect as well.
  const within = `${5 + (version % 2)}s`;
  site.define({ environment: [`rollback: { keepWarm: ${keepWarm}, watch: ${watch}, within: ${within} }`] });
}

function isSettled({ rollout, healthy, wanted, live, instances: all, rollback }: EnvironmentStatus): boolean {
  return (
    rollout === null &&
    live !== null &&
    healthy === wanted &&
    all.every(({ role, health }) => (role === "live" || role === "warm") && health === "healthy") &&
    (live.state === "proven" || live.watchEndsInMs === null || live.watchEndsInMs > 5_000) &&
    (rollback.target === null || rollback.warm === 0 || rollback.ready)
  );
}

async function stopDaemon(client: ApiClient): Promise<void> {
  const { pid } = await client.get<Ping>("/v1/ping");
  process.kill(pid, "SIGTERM");
  await eventually("the daemon has ended", async () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
}

/** The daemon of a site: one after the other, each with or without a point at which it dies. */
class Daemon {
  readonly #program: string;
  readonly #state: string;
  readonly #client: ApiClient;
  #child: ChildProcess | undefined;
  #point: KillPoint | undefined;
  #said = "";
  #ended: Promise<NodeJS.Signals | null> = Promise.resolve(null);

  constructor(program: string, state: string, client: ApiClient) {
    this.#program = program;
    this.#state = state;
    this.#client = client;
  }

  /** @returns ms until it answered, or until it died at its point */
  async start(point: KillPoint | undefined): Promise<number> {
    const log = openSync(join(placesOf(this.#state).log, "daemon.log"), "a");
    const never: KillPoint = { kind: "any", occurrence: Number.MAX_SAFE_INTEGER, moment: "after", since: "start" };
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        this.#program,
        "--state",
        this.#state,
        "--point",
        JSON.stringify(point ?? never),
      ],
      {
        stdio: ["ignore", "pipe", log],
        detached: true,
        // Its code would be compiled at each start without.
        env: { ...process.env, NODE_COMPILE_CACHE: join(this.#state, "../compiled") },
      },
    );
    closeSync(log);
    const began = performance.now();
    this.#child = child;
    this.#point = point;
    this.#said = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
    let isOver = false;
    this.#ended = new Promise((resolve) =>
      child.once("exit", (_, signal) => {
        isOver = true;
        resolve(signal);
      }),
    );
    while (!isOver) {
      const ping = await this.#client.get<Ping>("/v1/ping").catch(() => undefined);
      if (ping?.pid === child.pid) break;
      await sleep(5);
    }
    return performance.now() - began;
  }

  /** Waits for the death at the point. */
  async died(): Promise<KillReport> {
    const signal = await Promise.race([this.#ended, sleep(30_000, "alive" as const, { ref: false })]);
    assert.equal(signal, "SIGKILL", "the daemon did not die at its point");
    const report = this.#said.slice(this.#said.lastIndexOf('{"events"'));
    return JSON.parse(report) as KillReport;
  }

  /** Makes sure that the daemon which runs dies at this point, and at no other. */
  async arm(point: KillPoint | undefined): Promise<void> {
    if (this.#point === point) return;
    await this.stop();
    await this.start(point);
  }

  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    await this.#ended;
  }
}
