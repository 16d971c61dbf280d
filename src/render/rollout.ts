import type { AnalysisStatus, QuarantinedContent, RolloutSet, RolloutStatus } from "../model/api/rollouts.ts";
import { formatDuration } from "../model/quantities.ts";
import { weightText } from "../model/strategy.ts";
import type { Paint } from "./paint.ts";
import { renderTable } from "./table.ts";

/** How far a rollout has come, in one line: `step 2 of 3, 25 %, 1/1 healthy, 1 min 30 s more`. */
export function progressText(rollout: RolloutStatus): string {
  const { strategy, step, steps, weight, healthy, wanted, holdLeftMs, paused, hurried, sets } = rollout;
  const coming = sets.find((set) => set.role === "next");
  // Of the requests what the router gives it now: while instances come to be ready a step's share grows.
  const inSteps = step > 0 && strategy !== "recreate";
  const ready =
    inSteps && coming !== undefined ? `${coming.ready}/${coming.instances} healthy` : `${healthy}/${wanted} healthy`;
  return [
    ...(inSteps ? [steps === null ? `step ${step}` : `step ${step} of ${steps}`] : []),
    ...(inSteps ? [weightText(coming?.weight ?? weight)] : []),
    ready,
    ...(hurried ? ["without its remaining steps"] : []),
    ...(paused !== null
      ? [`paused: ${paused.reason}`]
      : holdLeftMs !== null && holdLeftMs > 0
        ? [`${formatDuration(roundUp(holdLeftMs))} more`]
        : []),
    ...measuredText(rollout.analysis),
  ].join(", ");
}

/** What is not passed yet, with its newest measurement. */
function measuredText(analysis: AnalysisStatus | undefined): readonly string[] {
  const open = analysis?.metrics.filter(({ phase }) => phase !== "successful") ?? [];
  return open.map(({ name, last }) => (last === "" ? `${name} is measured` : `${name}: ${last}`));
}

/** A rollout under way, for status. */
export function renderRollout(rollout: RolloutStatus | null, paint: Paint): readonly string[] {
  if (rollout === null) return [];
  const { analysis, ...withoutAnalysis } = rollout;
  const { release, of, type, strategy, because, paused, sets, sinceMs, deadlineInMs } = rollout;
  const name = of === null || of === release ? `v${release}` : `v${release} (= v${of})`;
  const other = because === null ? "" : ` (${because})`;
  const how = type === "rollback" || strategy === "blue-green" ? "" : ` by ${strategy}${other}`;
  const deadline = paused === null ? `, deadline in ${formatDuration(deadlineInMs)}` : "";
  return [
    `rollout to ${paint.bold(name)}${how}: ${progressText(withoutAnalysis)} after ${formatDuration(sinceMs)}${deadline}`,
    ...renderSets(sets),
    ...renderAnalysis(analysis, paint),
    ...(paused === null
      ? []
      : [
          `  ${paint.warn("paused")} for ${formatDuration(paused.forMs)}: \`bronze rollout resume\` goes on, \`bronze rollout complete\` leaves out what remains, \`bronze rollout abort\` ends it; ended by itself in ${formatDuration(paused.endsInMs)}`,
        ]),
  ];
}

/** Who has the requests, where more than one set does or could. */
function renderSets(sets: readonly RolloutSet[]): readonly string[] {
  if (sets.filter(({ weight }) => weight !== null && weight > 0).length < 2) return [];
  const rows = sets.map(({ release, role, ready, instances, weight }) => [
    `v${release}`,
    role,
    `${ready}/${instances} healthy`,
    weight === null ? "-" : `${weightText(weight)} of the requests`,
  ]);
  return renderTable(rows).map((line) => `  ${line}`);
}

/** What was measured, a metric a line. */
function renderAnalysis(analysis: AnalysisStatus | undefined, paint: Paint): readonly string[] {
  if (analysis === undefined) return [];
  if (analysis.skipped) return [`  ${paint.warn("not analysed")}: what is live failed itself before it began`];
  const longer =
    analysis.extended === 0
      ? []
      : [`  made longer ${analysis.extended === 1 ? "once" : "twice"}: too little could be measured`];
  const rows = analysis.metrics.map(({ name, phase, measured, last }) => [
    name,
    phase === "running" ? "is measured" : phase,
    measured === 1 ? "once" : `${measured} times`,
    last,
  ]);
  return [...renderTable(rows).map((line) => `  ${line}`), ...longer];
}

export function renderQuarantined(quarantined: readonly QuarantinedContent[]): readonly string[] {
  return quarantined.map(
    ({ release, reason }) =>
      `quarantined: v${release} (${reason}); \`bronze rollout allow v${release}\` lets it be deployed again`,
  );
}

/** A second that has begun is told as one. */
function roundUp(ms: number): number {
  return ms < 1_000 ? ms : Math.ceil(ms / 1_000) * 1_000;
}
