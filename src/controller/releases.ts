import type { Cause, ConfigOrigin, EventData, Failure } from "../ledger/event.ts";
import { contentNow, digestNow, replacedSecrets, type ReplacedSecret } from "../ledger/secrets.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { Promotion } from "../model/api/releases.ts";
import type { Content, EnvironmentSettings } from "../model/content.ts";
import type { Digest } from "../model/canonical.ts";
import { setName } from "../model/names.ts";
import { plannedHoldMs } from "../model/strategy.ts";
import { settingsThatFit } from "../model/volumes.ts";
import type { TestTask } from "../model/tasks.ts";
import { decisionEvents } from "./decision-events.ts";
import { hasReady } from "../rollout/plan-active.ts";
import { hasSteps, strategyOf } from "../rollout/targets.ts";
import { setView, type EnvironmentView } from "../rollout/view.ts";
import { isStale } from "../rollout/ready.ts";
import { isBlocked, leftBehind, originOf, setOfContent } from "../rollout/target.ts";
import { staysText } from "../rollout/task-outcome.ts";
import type { Step } from "../rollout/step.ts";
import { hasTasks } from "../rollout/tasks.ts";

export interface NewRelease {
  readonly type: "deploy" | "rollback";
  /** The release whose content this is, for a rollback. */
  readonly of: number | null;
  readonly automatic: boolean;
  readonly digest: Digest;
  readonly content: Content;
  readonly cause: Cause;
  /** Settings that come into effect at its switch. */
  readonly settings?: EnvironmentSettings;
  /** What its config is made of; absent: nothing. */
  readonly configOrigin?: ConfigOrigin;
  /** What its artifact has to pass first. */
  readonly tests?: readonly TestTask[];
  readonly promoted?: Promotion;
  /** It goes live at once, whatever the strategy. */
  readonly urgent?: true;
  /** Versions of secrets that take the place of those it had; absent: none do. */
  readonly replacedSecrets?: readonly ReplacedSecret[];
}

/** What a new release depends on besides the record. */
export type ViewForRelease = Pick<EnvironmentView, "sets" | "placed">;

/**
 * The events that create the next release, superseding what is under way. Its number is `record.lastRelease + 1`. It
 * goes on with a set that runs its content, but never waits for a warm one that does not answer.
 */
export function newRelease(
  record: EnvironmentRecord,
  release: NewRelease,
  view: ViewForRelease,
  nowMs: number,
): readonly EventData[] {
  const { app, environment } = record;
  const number = record.lastRelease + 1;
  const known = setOfContent(record, release.digest);
  const stale = known !== undefined && isStale(known, setView(view, known.name).all, nowMs);
  const set = known === undefined || stale ? setName(app, environment, number) : known.name;
  const wanted = release.settings ?? record.settings;
  const { strategy } = strategyOf(record, {
    type: release.type,
    set,
    settings: wanted,
    urgent: release.urgent === true,
  });
  // What is ready at once is also meant to be switched to at once: one record on disk in place of two.
  const switching: EventData[] =
    known !== undefined &&
    !stale &&
    record.switching === null &&
    !hasTasks(release, wanted) &&
    !hasSteps(strategy) &&
    hasReady(known, wanted, view, nowMs)
      ? [{ kind: "traffic.switching", app, environment, release: number, set, from: record.live?.set ?? null }]
      : [];
  const retired: EventData[] = stale
    ? [{ kind: "set.retired", app, environment, set: known.name, reason: "it was wanted and not all of it answered" }]
    : [];
  const leaves = leftBehind(record, release.content.artifact);
  return [
    ...abortActive(record, superseded(record, `v${number}`)),
    ...retired,
    {
      kind: "release.created",
      app,
      environment,
      release: number,
      set,
      ...release,
      ...(leaves.length === 0 ? {} : { leaves }),
      deadlineMs: wanted.deadlineMs + plannedHoldMs(strategy),
    },
    ...switching,
  ];
}

/** The event that ends the rollout under way, if one is. */
export function abortActive(record: EnvironmentRecord, failure: Failure): readonly EventData[] {
  const release = record.active === null ? undefined : record.releases.get(record.active);
  return release === undefined ? [] : [aborted(record, release, failure)];
}

/**
 * The event that ends a rollout. What a rolling one brought and is healthy serves on until what is live is whole again,
 * unless it proved bad under traffic.
 */
export function aborted(
  { app, environment }: EnvironmentRecord,
  { number, progress }: ReleaseRecord,
  failure: Failure,
  isBad = false,
): EventData {
  const leaving = progress.instances !== null && !isBad;
  return { kind: "rollout.aborted", app, environment, release: number, failure, ...(leaving ? { leaving } : {}) };
}

/**
 * The event by which a content is not put live again that proved bad beside one that serves; none where it is known
 * already, or nothing serves that it could harm.
 */
export function quarantine(record: EnvironmentRecord, release: ReleaseRecord, reason: string): readonly EventData[] {
  const { app, environment, live, quarantined } = record;
  if (release.type !== "deploy" || live === null || quarantined.has(release.digest)) return [];
  return [{ kind: "content.quarantined", app, environment, digest: release.digest, release: release.number, reason }];
}

export function superseded(record: EnvironmentRecord, by: string): Failure {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return {
    code: "ROLLOUT_SUPERSEDED",
    summary: `Cannot complete rollout of ${record.app} to v${record.active} in ${record.environment}: superseded by ${by}`,
    hint: `see \`bronze status\` for what ${by} came to${active === undefined ? "" : staysText(active)}`,
    evidence: [],
  };
}

/** What a rollback to this earlier release makes. */
export function rollbackTo(
  record: EnvironmentRecord,
  target: ReleaseRecord,
  cause: Cause,
  automatic: boolean,
): NewRelease {
  const origin = originOf(record, target);
  const replaced = replacedSecrets(record, origin.content);
  const settings = settingsThatFit(record.settings, origin.content.settings);
  return {
    type: "rollback",
    of: origin.number,
    automatic,
    digest: digestNow(record, origin),
    content: contentNow(record, origin.content),
    cause,
    ...(settings === record.settings ? {} : { settings }),
    ...madeOf(origin.configOrigin),
    ...(replaced.length === 0 ? {} : { replacedSecrets: replaced }),
  };
}

/** How a release tells what its config is made of: of nothing, not at all. */
export function madeOf(configOrigin: ConfigOrigin): Pick<NewRelease, "configOrigin"> {
  const { defined, overrides } = configOrigin;
  return Object.keys(defined).length + Object.keys(overrides).length === 0 ? {} : { configOrigin };
}

/** The events of a release that the watch takes back: it is marked, and its predecessor's content comes back. */
export function automaticRollback(
  record: EnvironmentRecord,
  step: Extract<Step, { kind: "take-back" }>,
  view: ViewForRelease,
  nowMs: number,
): readonly EventData[] {
  const { app, environment } = record;
  const { release, figures, reason } = step;
  const target = record.releases.get(step.to);
  const bad = record.releases.get(release);
  const takenBack: readonly EventData[] = [
    ...decisionEvents(record, release, step.decision === undefined ? [] : [step.decision]),
    { kind: "release.taken_back", app, environment, release, figures, reason },
    // What is revoked is blocked by that, for as long as it lasts.
    ...(bad === undefined || target === undefined || isBlocked(record, bad) ? [] : quarantine(record, bad, reason)),
  ];
  if (target === undefined) return takenBack;
  const cause: Cause = { who: "bronze", why: reason };
  return [...takenBack, ...newRelease(record, rollbackTo(record, target, cause, true), view, nowMs)];
}
