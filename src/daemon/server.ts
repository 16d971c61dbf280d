import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { OperatorError, asOperatorError } from "../errors/operator-error.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { LogLine, Ping } from "../model/api/asked.ts";
import type { DeployRequest, DownRequest, DownResult, RollbackRequest, ScaleRequest } from "../model/api/releases.ts";
import type { DeployPlan } from "../model/api/rollouts.ts";
import type { StatusReport, UnkeptPlace } from "../model/api/status.ts";
import type { StorageReport } from "../model/api/storage.ts";
import type { AuditReport, CheckpointReport } from "../model/api/trust.ts";
import type { Controller } from "../controller/controller.ts";
import type { FleetInstance } from "../controller/fleet.ts";
import type { InstanceName } from "../model/names.ts";
import { deploy } from "../controller/deploy.ts";
import { knownEnvironment, namedRelease, unknownEnvironment } from "../controller/known.ts";
import { down, watched } from "../controller/requests.ts";
import { planDeploy } from "../controller/plan-deploy.ts";
import { scale } from "../controller/scale.ts";
import { rollback } from "../controller/rollback.ts";
import { environmentStatus, releaseRow } from "../controller/status.ts";
import type { EnvironmentRecord, LedgerState } from "../ledger/state.ts";
import { addLedgerRoutes } from "./ledger-routes.ts";
import { audit, ledgerPages, stateAt } from "./ledger-pages.ts";
import { addRunRoute } from "./run-route.ts";
import {
  deploySchema,
  downSchema,
  oneEnvironmentSchema,
  parseWith,
  querySchema,
  rollbackSchema,
  scaleSchema,
  storageSchema,
  waitSchema,
} from "./schemas.ts";
import { addConfigRoutes } from "./config-routes.ts";
import { deployResult } from "./deploy-result.ts";
import { addLogRoutes, type LogQuery } from "./log-routes.ts";
import { isAbout, withProgress, type Filter } from "./progress.ts";
import { addRolloutRoutes } from "./rollout-routes.ts";
import { addVolumeRoutes } from "./volume-routes.ts";
import { addWhyRoute } from "./why-route.ts";
import { addSecretRoutes } from "./secret-routes.ts";
import { addTrustRoutes } from "./trust-routes.ts";
import { streamWork } from "./stream.ts";
import { watchWorks } from "./works.ts";

/** Largest request body, in bytes. */
const bodyLimit = 1024 * 1024;
/** How much of a body beyond the limit is read and forgotten, and for how long, in ms. */
const mostDiscardedBytes = 16 * 1024 * 1024;
const discardMs = 2_000;
const mostHistory = 10_000;
/** Open connections; more are closed at once, and those that send nothing are after `headersTimeout`. */
const mostConnections = 1_000;

export interface ServerOptions {
  readonly controller: Controller;
  readonly ping: () => Ping;
  /** Hashes all that is stored, looks for leftovers, and mends where asked to. */
  readonly storage: (mend: boolean, progress: (text: string) => void) => Promise<StorageReport>;
  /** What is not as it should be with disk and stored bytes, in words. */
  readonly storageWarnings: () => readonly string[];
  readonly logs: (query: LogQuery) => AsyncIterable<LogLine>;
  /** Signs what the ledger is now. */
  readonly checkpoint: () => Promise<CheckpointReport>;
  /** Called when the last environment is down, or all are: the daemon ends itself. */
  readonly onAllDown: () => void;
}

/** The API of `src/model/api/asked.ts` over HTTP. */
export function createServer(options: ServerOptions): FastifyInstance {
  const { controller } = options;
  const app = fastify({
    bodyLimit,
    requestTimeout: 30_000,
    keepAliveTimeout: 60_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    // Without a host Node itself answers, and not as an error of ours; a socket has only one.
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2_000, requireHostHeader: false },
    frameworkErrors: (thrown, _request, reply) => void answer(reply, thrown),
    clientErrorHandler: refuseClient,
  });
  app.server.maxConnections = mostConnections;

  app.setErrorHandler(async (thrown: unknown, request, reply) => {
    // A connection that is closed with something unread loses the answer on its way: the client is still writing.
    if ((thrown as { code?: unknown }).code === "FST_ERR_CTP_BODY_TOO_LARGE") await discard(request.raw);
    return answer(reply, thrown);
  });
  app.setNotFoundHandler((request) => {
    throw new OperatorError(
      "NOT_FOUND",
      `Cannot answer ${request.method} ${request.url.slice(0, 200)}: no such route`,
      {
        hint: "the routes stand in src/model/api/asked.ts; client and daemon may be of different versions",
      },
    );
  });

  const works = watchWorks(app);

  app.get("/v1/ping", () => options.ping());

  app.post("/v1/deploy", async (request, reply) => {
    const body = parseWith(deploySchema, request.body, "deploy request") as DeployRequest;
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async () =>
        deployResult(await deploy(controller, body), options.ping().url),
      ),
    );
  });
  app.post("/v1/rollback", async (request, reply) => {
    const body = parseWith(rollbackSchema, request.body, "rollback request") as RollbackRequest;
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async () =>
        deployResult(await rollback(controller, body), options.ping().url),
      ),
    );
  });
  app.post("/v1/plan", (request): Promise<DeployPlan> => {
    const body = parseWith(deploySchema, request.body, "deploy request") as DeployRequest;
    return planDeploy(controller, body);
  });
  addRolloutRoutes(app, options);
  addConfigRoutes(app, options);
  addRunRoute(app, options);
  addSecretRoutes(app, options);
  addVolumeRoutes(app, options);
  addWhyRoute(app, options);
  addTrustRoutes(app, options);
  app.post("/v1/scale", async (request, reply) => {
    const body = parseWith(scaleSchema, request.body, "scale request") as ScaleRequest;
    await streamWork(reply, (progress) => withProgress(controller, body, progress, () => scale(controller, body)));
  });
  app.post("/v1/down", async (request, reply) => {
    const body = parseWith(downSchema, request.body, "down request") as DownRequest;
    let ends = false;
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async (): Promise<DownResult> => {
        await down(controller, body);
        const anyLeft = await works.anyLeft();
        ends = body.all === true || (!anyLeft && isNothingUp(controller.state));
        if (ends) works.refuse();
        return { endingPid: ends ? process.pid : null };
      }),
    );
    if (ends) options.onAllDown();
  });
  app.post("/v1/storage", async (request, reply) => {
    const { mend } = parseWith(storageSchema, request.body, "storage request");
    await streamWork(reply, (progress) =>
      options.storage(mend, (text) => progress({ atMs: controller.ports.clock.wall(), step: "storage", text })),
    );
  });
  app.post("/v1/wait", async (request, reply) => {
    const body = parseWith(waitSchema, request.body, "wait request");
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async () =>
        releaseRow(knownEnvironment(controller, body.app, body.environment), await watched(controller, body)),
      ),
    );
  });

  app.get("/v1/status", (request): Promise<StatusReport> => {
    const query = parseWith(querySchema, request.query, "query");
    if (query.at === undefined)
      return Promise.all([unkeptPlaces(), controller.ports.secrets.state()]).then(([unkept, lock]) =>
        withLock(status(controller.state, query, controller.ports.clock.wall(), unkept), lock),
      );
    const { at } = query;
    return stateAt(controller.ports.journal, at).then((state) => status(state, query, at, new Map()));
  });
  app.get("/v1/releases", (request) => {
    const query = parseWith(querySchema, request.query, "query");
    return select(controller, controller.state, query).flatMap((record) =>
      [...record.releases.values()].map((release) => releaseRow(record, release)),
    );
  });
  app.get("/v1/release", (request) => {
    const query = parseWith(oneEnvironmentSchema, request.query, "query");
    const record = knownEnvironment(controller, query.app, query.environment);
    const release = namedRelease(record, query.release ?? record.live?.release ?? 0);
    return { ...releaseRow(record, release), content: release.content };
  });
  app.get("/v1/history", (request) => history(parseWith(querySchema, request.query, "query")));
  addLogRoutes(app, options);
  addLedgerRoutes(app, { journal: controller.ports.journal, checkpoint: options.checkpoint });
  app.get("/v1/audit", async (): Promise<AuditReport> => {
    const { head, damage, equal } = await audit(controller.ports.journal, (folded) =>
      isDeepStrictEqual(controller.state, folded),
    );
    return { events: head.seq, head: head.hash, ok: damage === null && equal, damage, projectionsEqual: equal };
  });
  return app;

  /** What instances wrote to places that end with them; of one that just ended nothing is told. */
  async function unkeptPlaces(): Promise<Unkept> {
    const { fleet, ports } = controller;
    const running = fleet.all().filter(({ phase }) => phase === "running");
    const look = async ({ name }: FleetInstance): Promise<readonly [InstanceName, readonly UnkeptPlace[]]> => [
      name,
      await ports.runtime.unkept(name).catch(() => []),
    ];
    return new Map(await Promise.all(running.map(look)));
  }

  function status(state: LedgerState, filter: Filter, atMs: number, unkept: Unkept): StatusReport {
    const isNow = state === controller.state;
    const instances = isNow ? controller.fleet.all() : null;
    const nowMs = isNow ? controller.ports.clock.now() : atMs - state.timeline.offsetMs;
    const input = { instances, unkept, nowMs, routerUrl: options.ping().url };
    const environments = select(controller, state, filter).map((record) =>
      environmentStatus(
        record,
        isNow
          ? {
              ...input,
              rules: [...controller.executor.routing.rules.values()],
              measured: controller.measured(record),
              waitsFor: controller.waitsFor(record),
              limitProblem: controller.limitProblem(record),
              startProblem: controller.startProblem(record),
            }
          : input,
      ),
    );
    return { daemon: options.ping(), atMs, environments, ...(isNow ? { storage: options.storageWarnings() } : {}) };
  }

  async function history(query: z.output<typeof querySchema>): Promise<readonly LedgerEvent[]> {
    const limit = Math.min(query.limit ?? mostHistory, mostHistory);
    let kept: readonly LedgerEvent[] = [];
    for await (const page of ledgerPages(controller.ports.journal, query.after)) {
      const all = [...kept, ...page.filter((event) => isAbout(event, query))];
      kept = all.slice(Math.max(0, all.length - limit));
    }
    return kept;
  }
}

/** Whether nothing is left for the daemon to see to. */
function isNothingUp({ environments }: LedgerState): boolean {
  return [...environments.values()].every(
    ({ live, sets, tasks }) =>
      live === null && sets.size === 0 && [...tasks.values()].every(({ ended }) => ended !== null),
  );
}

type Unkept = ReadonlyMap<InstanceName, readonly UnkeptPlace[]>;

function select(controller: Controller, state: LedgerState, filter: Filter): readonly EnvironmentRecord[] {
  const all = [...state.environments.values()].sort((a, b) =>
    `${a.app} ${a.environment}` < `${b.app} ${b.environment}` ? -1 : 1,
  );
  if (filter.app === undefined) return all;
  const chosen = all.filter(
    (record) =>
      record.app === filter.app && (filter.environment === undefined || record.environment === filter.environment),
  );
  if (chosen.length === 0 && state === controller.state)
    throw unknownEnvironment(controller, filter.app, filter.environment);
  return chosen;
}

function answer(reply: FastifyReply, thrown: unknown): FastifyReply {
  const error = fromFastify(thrown);
  return reply.code(error.exitStatus === 1 ? 500 : error.exitStatus === 4 ? 404 : 400).send({ error: error.toJSON() });
}

/** What is no HTTP, or came too slowly. */
function refuseClient(thrown: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status =
    thrown.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? "408 Request Timeout"
      : thrown.code === "HPE_HEADER_OVERFLOW"
        ? "431 Request Header Fields Too Large"
        : "400 Bad Request";
  const error = new OperatorError("ARGUMENT_INVALID", `Cannot read the request: ${thrown.message}`, {
    hint: "send whole HTTP/1.1 requests with JSON bodies, without delay",
  });
  const body = JSON.stringify({ error: error.toJSON() });
  const head = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
  socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n\r\n${body}`);
}

/** Reads what a client still sends, within bounds, and forgets it. */
function discard(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const timer = setTimeout(resolve, discardMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    request.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > mostDiscardedBytes) done();
    });
    request.once("end", done).once("close", done);
  });
}

/** What is locked is told with what else is not as it should be. */
function withLock(report: StatusReport, lock: "open" | "locked"): StatusReport {
  if (lock === "open") return report;
  const told = "secrets are locked: nothing that needs them is started or replaced until `bronze secret unlock`";
  return { ...report, storage: [told, ...(report.storage ?? [])] };
}

function fromFastify(thrown: unknown): OperatorError {
  const code = (thrown as { code?: unknown }).code;
  if (typeof code === "string" && code.startsWith("FST_ERR_CTP")) {
    return new OperatorError("ARGUMENT_INVALID", `Cannot read the request: ${(thrown as Error).message}`, {
      hint: `send JSON with its content type, at most ${bodyLimit} bytes`,
    });
  }
  if ((thrown as { statusCode?: unknown }).statusCode === 400) {
    return new OperatorError("ARGUMENT_INVALID", `Cannot read the request: ${(thrown as Error).message}`, {
      hint: "send valid JSON",
    });
  }
  return asOperatorError(thrown);
}
