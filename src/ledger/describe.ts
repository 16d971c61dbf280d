import { digestHex } from "../model/canonical.ts";
import { formatRoute, type WrittenSettings } from "../model/content.ts";
import { instanceName } from "../model/names.ts";
import { formatBytes, formatDuration } from "../model/quantities.ts";
import { commandText, leftText } from "../model/tasks.ts";
import { secretText } from "../model/secret.ts";
import { weightText } from "../model/strategy.ts";
import { exitText } from "./crashes.ts";
import type { Cause, EventData } from "./event.ts";
import { shortName } from "./revocations.ts";
import { replacedText } from "./secrets.ts";

/** One plain sentence about an event, for history and progress; without app and environment. */
export function describeEvent(data: EventData): string {
  switch (data.kind) {
    case "daemon.started":
      return data.boot === undefined
        ? `daemon ${data.version} started (process ${data.pid})`
        : `daemon ${data.version} started (process ${data.pid}), ${formatDuration(data.boot.upMs)} after the machine`;
    case "clock.jumped":
      return `the machine's clock was set ${data.byMs < 0 ? "back" : "forward"} by ${formatDuration(Math.abs(data.byMs))}`;
    case "daemon.stopped":
      return "daemon stopped";
    case "environment.changed":
      return `settings: ${data.settings.instances} ${data.settings.instances === 1 ? "instance" : "instances"}, ${workersText(data.settings)}route ${formatRoute(data.settings.route)}, by ${data.cause.who}`;
    case "config.changed": {
      const names = Object.keys(data.overrides).sort();
      return `config: ${names.length === 0 ? "no overrides" : `overrides of ${names.join(", ")}`}, by ${data.cause.who}`;
    }
    case "secret.set":
      return `secret ${secretText(data)} set by ${data.cause.who}${data.from === "provider" ? ", from where the definition says" : ""}`;
    case "secret.revoked":
      return `secret ${secretText(data)} revoked by ${data.cause.who}`;
    case "secret.removed":
      return `secret ${data.name} removed by ${data.cause.who}`;
    case "release.created": {
      const of = data.of === null ? "" : ` (= v${data.of})`;
      const how = data.automatic
        ? "automatic rollback"
        : data.promoted === undefined
          ? data.type
          : `promotion of v${data.promoted.release} of ${data.promoted.environment}`;
      const why = data.cause.why === "" ? "" : `, ${data.cause.why}`;
      const secrets = (data.replacedSecrets ?? []).map((one) => `; with ${replacedText(one)}`);
      const left = data.leaves === undefined ? "" : `; ${leftText(data.leaves)}`;
      return `v${data.release}${of} created: ${how} by ${data.cause.who}${why}${secrets.join("")}${left}`;
    }
    case "traffic.switching":
      return `switching traffic to v${data.release}`;
    case "traffic.switched":
      return `v${data.release} live after ${formatDuration(data.elapsedMs)}${data.warm ? ", from warm instances" : ""}`;
    case "rollout.measured":
      return data.requests === null
        ? `v${data.release}: requests during the rollout unknown, log lines were lost`
        : data.requests === 0
          ? `v${data.release}: no requests came during the rollout`
          : `v${data.release}: ${data.failed} of ${data.requests} requests failed during the rollout`;
    case "rollout.stepped":
      return `v${data.release} at step ${data.step}, ${weightText(data.weight)} of the requests: ${data.reason}`;
    case "rollout.paused":
      return `v${data.release} paused${data.cause === undefined ? "" : ` by ${data.cause.who}`}: ${data.reason}`;
    case "rollout.resumed":
      return `v${data.release} resumed${causeSuffix(data.cause)}`;
    case "rollout.hurried":
      return `v${data.release} goes live as soon as it is ready, without its remaining steps, as ${data.cause.who} asked`;
    case "rollout.aborted":
      return `v${data.release} aborted: ${data.failure.summary}`;
    case "content.quarantined":
      return `the content of v${data.release} is not put live again: ${data.reason}`;
    case "content.allowed":
      return `content ${digestHex(data.digest).slice(0, 12)} may be put live again${causeSuffix(data.cause)}`;
    case "decision.made":
      return `v${data.release}: ${data.sentence}`;
    case "release.proven":
      return `v${data.release} proven (${data.reason})`;
    case "release.taken_back":
      return `v${data.release} taken back: ${data.reason}`;
    case "watch.warned":
      return `v${data.release} looks bad and there is nothing to go back to: ${data.reason}`;
    case "set.retired":
      return `${data.set} is ended: ${data.reason}`;
    case "set.yielded": {
      const { set, release, volumes, drainMs } = data;
      const why = volumes.length === 0 ? "" : `${volumes.join(", ")} can be attached to one only; `;
      return `${set} is ended before v${release} starts: ${why}requests wait until v${release} serves (up to ${formatDuration(drainMs)} for those in flight, and its start)`;
    }
    case "snapshot.starting":
      return `making snapshot ${data.snapshot} of volume ${data.volume}`;
    case "snapshot.made":
      return data.snapshot === null
        ? `no snapshot of volume ${data.volume}: there is no such volume yet`
        : `snapshot ${data.snapshot} of volume ${data.volume} made${data.cause === undefined ? "" : ` by ${data.cause.who}`}`;
    case "volume.restored":
      return `volume ${data.volume} made from snapshot ${data.from.snapshot} of ${data.from.name} by ${data.cause.who}`;
    case "volume.removed":
      return data.snapshot === null
        ? `volume ${data.volume} and its snapshots removed by ${data.cause.who}`
        : `snapshot ${data.snapshot} of volume ${data.volume} removed by ${data.cause.who}`;
    case "set.removed":
      return `${data.set} is gone`;
    case "instances.starting":
      return `starting ${data.ordinals.map((ordinal) => instanceName(data.set, ordinal, data.process)).join(", ")}${data.without === undefined ? "" : `, without ${data.without.join(" and ")}, which ${data.without.length === 1 ? "does" : "do"} not serve`}`;
    case "instances.failed":
      return `cannot start ${data.process} of ${data.set}: ${data.reason}`;
    case "instance.healthy":
      return `${data.instance} healthy after ${formatDuration(data.afterMs)}`;
    case "instance.exited":
      return `${data.instance} ${exitText(data)}`;
    case "instance.condemned":
      return `${data.instance} is to be ended: ${data.reason}`;
    case "instance.removed":
      return `${data.instance} removed`;
    case "drift.found":
      return `${data.instance} drifted (${data.type}): ${data.findings.join("; ")}`;
    case "task.started":
      return `${data.instance} started: ${commandText(data.command)}${data.cause === undefined ? "" : `, for ${data.cause.who}${data.cause.why === "" ? "" : `, ${data.cause.why}`}`}`;
    case "task.running":
      return `${data.instance} runs`;
    case "task.ended":
      return `${data.instance} ${endText(data)} after ${formatDuration(data.elapsedMs)}`;
    case "check.answered":
      return `${data.instance} answered ${data.path} ${data.status === null ? "not at all" : `with ${data.status}`}${data.passed ? "" : ", which is not what was wanted"}`;
    case "tests.passed":
      return `v${data.release} passed its tests; the result is attached to ${digestHex(data.artifact).slice(0, 12)}`;
    case "watch.held":
      return `v${data.release} looks bad and is held for a person, since what its release command did is not reversible: ${data.reason}; \`bronze rollback\` goes back to v${data.to} all the same`;
    case "artifact.revoked":
      return `artifact ${shortName(data.artifact)} revoked by ${data.cause.who}${data.cause.why === "" ? "" : `: ${data.cause.why}`}`;
    case "artifact.blocked":
      return `artifact ${shortName(data.artifact)} is blocked: it was made from ${data.chain.slice(1).map(shortName).join(", made from ")}, which is revoked`;
    case "artifact.reinstated":
      return `artifact ${shortName(data.artifact)} is no longer revoked, by ${data.cause.who}${data.cause.why === "" ? "" : `: ${data.cause.why}`}`;
    case "trust.verified":
      return `artifact ${shortName(data.artifact)} verified`;
    case "trust.warned":
      return `warning: artifact ${shortName(data.artifact)} is not verified: ${data.reasons.join("; ")}`;
    case "trust.refused":
      return `artifact ${shortName(data.artifact)} refused: ${data.reasons.join("; ")}`;
    case "release.refused":
      return `v${data.release} refused: ${data.failure.summary}`;
    case "app.down":
      return `taken down by ${data.cause.who}`;
    case "layer.imaged":
      return `layer ${digestHex(data.diffId).slice(0, 12)} imaged`;
    case "image.touched":
      return `image ${data.path} was touched: ${data.finding}`;
    case "blob.damaged":
      return `blob ${digestHex(data.digest).slice(0, 12)} is damaged: ${data.finding}`;
    case "storage.checked":
      return `${data.files} blobs and images hashed again (${formatBytes(data.bytes)}): ${data.damaged === 0 ? "all as recorded" : `${data.damaged} damaged`}`;
    case "ledger.salvaged":
      return `ledger cut after event ${data.kept} by ${data.who}; what was there lies in ${data.aside}`;
    case "network.chosen":
      return `instances${data.environment === undefined ? "" : ` of ${data.environment}`} live in ${data.subnet}`;
  }
}

function causeSuffix(cause: Cause | undefined): string {
  return cause === undefined ? "" : ` by ${cause.who}${cause.why === "" ? "" : `, ${cause.why}`}`;
}

function workersText({ processes = {} }: WrittenSettings): string {
  return Object.entries(processes)
    .map(([process, count]) => `${count} ${process}, `)
    .join("");
}

/** How a task came to its end, in words. */
export function endText({ how, code, reason }: Pick<TaskEnded, "how" | "code" | "reason">): string {
  const why = reason === undefined ? "" : ` (${reason})`;
  switch (how) {
    case "exited":
      return `ended with status ${code ?? "unknown"}`;
    case "timed out":
      return "did not end in its time and was ended";
    case "stopped":
      return `was ended${why}`;
    case "lost":
      return "ended unseen: the machine or its supervisor went away under it";
    case "not started":
      return `could not be started${why}`;
  }
}

type TaskEnded = Extract<EventData, { kind: "task.ended" }>;
