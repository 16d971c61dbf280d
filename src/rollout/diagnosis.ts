import type { Failure } from "../ledger/event.ts";
import { formatDuration } from "../model/quantities.ts";
import { longestPauseMs } from "../model/strategy.ts";
import type { RunSettings } from "../model/content.ts";
import type { InstanceName } from "../model/names.ts";
import type { InstanceFacts } from "../model/observation.ts";
import type { Health } from "./health.ts";
import type { FailReason } from "./step.ts";

export interface FailedInstance {
  readonly name: InstanceName;
  readonly facts: InstanceFacts;
  readonly health: Health;
  readonly settings: RunSettings;
}

export interface FailedRollout {
  readonly app: string;
  readonly environment: string;
  readonly release: number;
  /** What goes on serving, in words. */
  readonly serving: string;
  readonly ready: number;
  readonly wanted: number;
  readonly afterMs: number;
  readonly reason: FailReason;
  /** How the newest of those came to its end that were healthy and keep ending; null: none do. */
  readonly crashes: string | null;
  readonly instance: FailedInstance | null;
}

/** An uncaught error of Node with its stack fits. */
const logLinesShown = 20;

/**
 * Tells a person why a rollout did not come through: which of the usual causes it was, what still serves, and what to
 * do next.
 */
export function diagnose(failed: FailedRollout): Failure {
  const { app, environment, release, serving, instance, ready, wanted } = failed;
  const cause = instance === null ? undefined : causeOf(instance, failed.reason);
  const after = formatDuration(failed.afterMs);
  const what =
    failed.reason === "paused"
      ? `nobody let it go on within ${formatDuration(longestPauseMs)}`
      : `${ready} of ${wanted} instances healthy after ${after}, ${wanted} needed`;
  const summary =
    `Cannot complete rollout of ${app} to v${release} in ${environment}: ${what}` +
    (failed.crashes === null ? "" : `; its instances keep ending: the last ${failed.crashes}`) +
    (cause === undefined ? "" : `; ${instance?.name ?? ""} ${cause.finding}`);
  const logs = instance === null ? "" : `; all it wrote: \`bronze logs ${instance.name}\``;
  return {
    code: failed.reason === "deadline" || failed.reason === "paused" ? "ROLLOUT_FAILED" : "ROLLOUT_UNHEALTHY",
    summary,
    hint: `${cause?.hint ?? (failed.reason === "paused" ? "deploy it again" : "look at the instances' logs")}; ${serving}${logs}`,
    evidence: instance === null ? [] : evidenceOf(instance),
  };
}

interface CauseFound {
  readonly finding: string;
  readonly hint: string;
}

function causeOf({ facts, health, settings }: FailedInstance, reason: FailReason): CauseFound {
  const { exit, listening, logTail } = facts;
  const { port } = settings;
  if (exit?.outOfMemory === true) {
    const limit = settings.resources.memoryBytes;
    return {
      finding: `ran out of memory${limit === null ? "" : ` at its limit of ${Math.round(limit / 1024 / 1024)}Mi`}`,
      hint: "raise `run.resources.memory`, or make the app use less",
    };
  }
  const written = readOnlyPath(logTail);
  if (written !== undefined) {
    const path = written === "" ? "its read-only root" : `${written}, which is on its read-only root`;
    return {
      finding: `${exit === null ? "tried to write" : "ended after it tried to write"} to ${path}`,
      hint: `an instance's root never changes: add ${written === "" ? "the folder it writes to" : folderOf(written)} to \`run.tmpfs\`, or write below /tmp`,
    };
  }
  if (reason === "failing") {
    return {
      finding: `was healthy and failed ${health.failures} probes in a row`,
      hint: "its last response and lines, above, say why",
    };
  }
  if (reason === "exited" || exit !== null) {
    const code = exit?.code ?? null;
    return {
      finding: `exited ${code === null ? "without a known status" : `with status ${code}`} before it was healthy`,
      hint: logTail.some((line) => line.trim() !== "")
        ? "its last lines, above, say why; try the same command where you built it"
        : "it wrote nothing; try the same command where you built it",
    };
  }
  if (health.last?.kind === "answered") {
    return {
      finding: `answered ${health.last.status} to GET ${settings.health.path ?? "/"}, ${settings.health.path === null ? "below 500" : "2xx"} is needed`,
      hint:
        settings.health.path === null
          ? "set `run.health.path` to a path that tells health, or mend the app"
          : "mend what the health path checks",
    };
  }
  const onPort = listening.filter((socket) => socket.port === port);
  if (onPort.length > 0 && onPort.every(({ address }) => isLoopback(address))) {
    return {
      finding: `listens on ${onPort[0]?.address ?? "127.0.0.1"}:${port} only, where no one outside of it can reach it`,
      hint: "make the app listen on 0.0.0.0",
    };
  }
  if (onPort.length > 0)
    return {
      finding: `listens on port ${port} but did not answer`,
      hint: "see what it waits for in its log; where it does not speak HTTP, say `run.health: { tcp: true }`",
    };
  const others = listening.map((socket) => socket.port);
  return {
    finding: `never listened on port ${port}${others.length === 0 ? "" : ` (it listens on ${[...new Set(others)].join(", ")})`}`,
    hint:
      others.length === 0
        ? "the app is told its port in PORT; give it more time with `run.health.deadline` if it starts slowly"
        : `set \`run.port\` to the port it uses, or let it use PORT`,
  };
}

/** The path of the first write that the read-only root refused, "" when the log names none, undefined without such a write. */
function readOnlyPath(logTail: readonly string[]): string | undefined {
  for (const line of logTail) {
    if (!/EROFS|read-only file system/i.test(line)) continue;
    return (
      /['"`]?(\/[^\s'"`:,)]+)/.exec(
        line.replace(/^.*?(EROFS|read-only file system)/i, (text) => (text.includes("/") ? text : "")),
      )?.[1] ?? ""
    );
  }
  return undefined;
}

function folderOf(path: string): string {
  const cut = path.lastIndexOf("/");
  return cut <= 0 ? path : path.slice(0, cut);
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function evidenceOf({ facts, health }: FailedInstance): readonly string[] {
  const lines: string[] = [];
  const { last } = health;
  if (last !== null) {
    lines.push(
      last.kind === "answered"
        ? `last response: ${last.status} ${last.body.slice(0, 200).trim()}`.trim()
        : `last probe: ${last.kind}`,
    );
  }
  if (facts.exit !== null)
    lines.push(`exit status: ${facts.exit.code ?? "unknown"}${facts.exit.outOfMemory ? " (out of memory)" : ""}`);
  for (const line of facts.logTail.filter((text) => text.trim() !== "").slice(-logLinesShown))
    lines.push(`log: ${line}`);
  return lines;
}
