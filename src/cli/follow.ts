import { setTimeout as sleep } from "node:timers/promises";
import { fromErrorRecord, OperatorError } from "../errors/operator-error.ts";
import type { Ping, StreamLine } from "../model/api/asked.ts";
import type { DeployResult, ReleaseRow } from "../model/api/releases.ts";
import type { StatusReport } from "../model/api/status.ts";
import { ConnectionLost, isUnreachable } from "./api-client.ts";
import type { Context } from "./context.ts";
import type { Target } from "./project.ts";
import { showRollout } from "./rollout-line.ts";

const reconnectMs = 10_000;
/** Events that tell what the error then tells too. */
const endings = ["rollout.aborted", "trust.refused", "release.refused"];

/** Posts work to the daemon, shows its progress and returns its result. @throws {ConnectionLost} */
export async function follow<Result>(context: Context, path: string, body: unknown): Promise<Result> {
  const note = (text: string): void => context.output.note(context.output.paint.dim(`  ${text}`));
  let held: string | undefined;
  for await (const line of context.client.stream<StreamLine<Result>>("POST", path, { body }, context.signal)) {
    if (line.kind === "result") return line.result;
    if (line.kind === "error") {
      // The error tells the same with its cause and hint.
      if (held?.includes(line.error.message) === false) note(held);
      throw fromErrorRecord(line.error);
    }
    // What comes of it is told as well; `bronze why` tells what was decided, on which numbers.
    if (line.step === "decision.made") continue;
    if (held !== undefined) note(held);
    held = endings.includes(line.step) ? line.text : undefined;
    if (held === undefined) note(line.text);
    if (line.step === "rollout.paused") note("`bronze rollout resume` lets it go on, `bronze rollout abort` ends it");
  }
  throw new ConnectionLost(true);
}

/** Follows a deploy or rollback to its end, also across a restart of the daemon. */
export async function followRelease<Result extends object | null = DeployResult>(
  context: Context,
  path: "/v1/deploy" | "/v1/rollback" | "/v1/config" | "/v1/secret/set" | "/v1/secret/revoke",
  body: Target,
): Promise<Result | DeployResult> {
  // Another release of the same kind, by the same person, may have been made a moment ago.
  const request = crypto.randomUUID();
  const stopShowing = showRollout(context, body);
  try {
    return await follow<Result>(context, path, { ...body, request });
  } catch (thrown) {
    if (!(thrown instanceof ConnectionLost)) throw thrown;
    return await pickUp(context, path === "/v1/rollback" ? "rollback" : "release", body, request, thrown);
  } finally {
    stopShowing();
  }
}

/** The same for work that a daemon which goes away leaves undone. */
export async function followDone<Result extends object = object>(
  context: Context,
  path: string,
  body: unknown,
): Promise<Result> {
  try {
    return await follow<Result>(context, path, body);
  } catch (thrown) {
    if (thrown instanceof ConnectionLost) throw gone("the daemon went away before it was done", thrown);
    throw thrown;
  }
}

async function pickUp(
  context: Context,
  type: "release" | "rollback",
  { app, environment }: Target,
  request: string,
  lost: ConnectionLost,
): Promise<DeployResult> {
  const { client, output, signal } = context;
  output.note(`the daemon went away; trying for ${reconnectMs / 1000} s to reach it again`);
  let deadline = performance.now() + reconnectMs;
  let isFound = false;
  while (performance.now() < deadline) {
    try {
      const daemon = await client.get<Ping>("/v1/ping", {}, signal);
      // While it answers, the rollout's own deadline bounds the wait.
      deadline = performance.now() + reconnectMs;
      const rows = await client.get<readonly ReleaseRow[]>("/v1/releases", { app, environment }, signal);
      const row = rows.find((one) => one.request === request);
      if (row === undefined) throw gone(`the daemon came back and knows of no such ${type}`, undefined);
      if (!isFound) output.note(`the daemon is back (process ${daemon.pid}), v${row.release} goes on`);
      isFound = true;
      if (row.state !== "pending" && row.state !== "progressing" && row.state !== "paused")
        return await resultOf(context, row);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!isAway(thrown)) throw thrown;
    }
    await sleep(100, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  // It ended before it had heard of the work, and for good: `down` of the last app ends it.
  if (!lost.isBegun) throw lost;
  throw gone(`no answer for ${reconnectMs / 1000} s`, undefined);
}

/** Whether no daemon answered, and none can have begun the work. */
export function isAway(thrown: unknown): thrown is OperatorError {
  return isUnreachable(thrown) && thrown.details !== "final";
}

async function resultOf({ client, signal }: Context, row: ReleaseRow): Promise<DeployResult> {
  if (row.state === "aborted" || row.state === "rolled back" || row.state === "taken back") {
    const failure = row.failure ?? row.state;
    throw new OperatorError(
      "ROLLOUT_FAILED",
      failure.startsWith("Cannot ")
        ? failure
        : `Cannot complete rollout of ${row.app} to v${row.release} in ${row.environment}: ${failure}`,
      {
        hint: "`bronze status` tells what serves now, `bronze history` what happened",
      },
    );
  }
  const { environments } = await client.get<StatusReport>(
    "/v1/status",
    { app: row.app, environment: row.environment },
    signal,
  );
  const environment = environments[0];
  return {
    release: row.release,
    of: row.of,
    created: true,
    digest: row.digest,
    state: row.state,
    watchMs: environment?.settings.watchMs ?? 0,
    elapsedMs: row.elapsedMs ?? 0,
    warm: row.warm ?? false,
    url: environment?.url ?? null,
    overrides: environment?.overrides ?? [],
    ...(row.leaves && { leaves: row.leaves }),
  };
}

function gone(what: string, cause: unknown): OperatorError {
  return new OperatorError("DAEMON_UNREACHABLE", `Cannot follow the work: ${what}`, {
    hint: "what the daemon had accepted goes on when it runs again (`bronze serve`); look with `bronze status` and `bronze history`",
    details: "final",
    ...(cause === undefined ? {} : { cause }),
  });
}
