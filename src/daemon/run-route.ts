import type { FastifyInstance } from "fastify";
import { endCommand, runCommand, type RunningCommand } from "../controller/run-command.ts";
import { until } from "../controller/until.ts";
import { endText } from "../ledger/describe.ts";
import type { RunLine, RunRequest, RunResult } from "../model/api/runs.ts";
import { parseWith, runSchema } from "./schemas.ts";
import type { ServerOptions } from "./server.ts";
import { streamLines } from "./stream.ts";

/** Lines of a command's output that a caller is given at most when it asks again. */
const mostLines = 100_000;

/** `POST /v1/run`: the command ends with its caller, but not with this daemon. */
export function addRunRoute(app: FastifyInstance, options: ServerOptions): void {
  let isClosing = false;
  app.addHook("preClose", async () => void (isClosing = true));
  app.post("/v1/run", async (request, reply) => {
    const body = parseWith(runSchema, request.body, "run request") as RunRequest;
    const running = runCommand(options.controller, body);
    await streamLines(reply, (signal) => linesOf(options, running, body.seen, signal));
    if (!isClosing) await endCommand(options.controller, running, "who asked for it went away");
  });
}

/** What a command writes, as it writes it, and then what came of it. @param gone aborts when nobody listens any more */
async function* linesOf(
  { controller, logs }: ServerOptions,
  { task }: RunningCommand,
  seen: number,
  gone: AbortSignal,
): AsyncGenerator<RunLine, void, undefined> {
  const { instance, release } = task;
  yield { kind: "started", instance, release };
  const enough = new AbortController();
  gone.addEventListener("abort", () => enough.abort(), { once: true });
  const ended = until(controller, () => task.ended !== null || gone.aborted, Number.POSITIVE_INFINITY);
  ended.then(
    () => enough.abort(),
    () => enough.abort(),
  );
  let count = 0;
  for await (const line of logs({ instance, lines: mostLines, follow: true, signal: enough.signal })) {
    count += 1;
    if (count > seen) yield { kind: "output", line };
  }
  await ended;
  if (task.ended !== null) yield { kind: "result", result: resultOf(task.instance, release, task.ended) };
}

function resultOf(
  instance: RunResult["instance"],
  release: number,
  { how, code, reason }: NonNullable<RunningCommand["task"]["ended"]>,
): RunResult {
  const finding = endText({ how, code, ...(reason === null ? {} : { reason }) });
  return { instance, release, status: code, finding };
}
