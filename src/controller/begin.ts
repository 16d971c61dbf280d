import type { Cause, EventData } from "../ledger/event.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { Promotion } from "../model/api/releases.ts";
import type { EnvironmentSettings } from "../model/content.ts";
import type { TestTask } from "../model/tasks.ts";
import { isSwitchIssued } from "../rollout/view.ts";
import { keyOf, type Controller } from "./controller.ts";
import { failureError } from "./executor.ts";
import { refuseHeldVolumes } from "./held-volumes.ts";
import { namedRelease } from "./known.ts";
import { newRelease, type NewRelease } from "./releases.ts";
import { untilRecorded } from "./until.ts";

/** What came of a deploy or rollback. */
export interface ReleaseOutcome {
  readonly record: EnvironmentRecord;
  readonly release: ReleaseRecord;
  /** False: that content was live already, or only a rollout under way was ended. */
  readonly created: boolean;
  /** The release whose rollout was ended instead, before it was live. */
  readonly ended?: number;
  /** Releases whose commands it does not undo, as they are not reversible; absent: none. */
  readonly leaves?: readonly number[];
}

/** Whether requests may be answered by the next release at any moment: what comes now comes after the switch. */
export function isSwitching(controller: Controller, record: EnvironmentRecord): boolean {
  return isSwitchIssued(record, { rules: controller.rulesOf(record) });
}

/** Records a new release, superseding what is under way. @param before what led to it, recorded with it @returns its number @throws {OperatorError} `VOLUME_HELD` */
export function create(
  controller: Controller,
  record: EnvironmentRecord,
  release: NewRelease,
  askedAtMs: number,
  before: readonly EventData[] = [],
): number {
  const { app, environment, settings } = record;
  const { content } = release;
  refuseHeldVolumes(controller.state, { app, environment, content, settings: release.settings ?? settings });
  const events: readonly EventData[] = [
    ...before,
    ...newRelease(record, release, controller.view(record), controller.ports.clock.now()),
  ];
  const number = record.lastRelease + 1;
  controller.asked(record, number, askedAtMs);
  // What is switched to at once is followed at once by its result, which takes it to the disk.
  if (events.at(-1)?.kind === "traffic.switching") controller.recorder.appendIntent(...events);
  else controller.recorder.append(...events);
  controller.tick(keyOf(record));
  return number;
}

/** The release when its rollout is completed. @throws {OperatorError} why it was aborted */
export async function rolloutEnd(
  controller: Controller,
  record: EnvironmentRecord,
  number: number,
): Promise<ReleaseRecord> {
  const release = namedRelease(record, number);
  await untilRecorded(controller, () => release.rollout !== "progressing");
  if (release.failure !== null) throw failureError(release.failure);
  return release;
}

/** The release that a change of config or secrets starts from: the one under way, else what is live. */
export function baseOf(record: EnvironmentRecord): ReleaseRecord | undefined {
  const number = record.active ?? record.live?.release;
  return number === undefined ? undefined : record.releases.get(number);
}

/** Settings that a change of a release brings: those it comes with, and when it has come those in effect. */
export function comingSettings(record: EnvironmentRecord, { rollout, settings }: ReleaseRecord): EnvironmentSettings {
  return rollout === "progressing" ? (settings ?? record.settings) : record.settings;
}

/** What is on its way and was not let through yet has to pass all the same, whatever is changed about it. */
export function pendingOf({ rollout, tests, promoted }: ReleaseRecord): {
  readonly tests?: readonly TestTask[];
  readonly promoted?: Promotion;
} {
  return rollout === "progressing" ? { tests, ...(promoted && { promoted }) } : {};
}

/** Who asked, and why, of a request. */
export function causeOf({ who, why, commit, request }: Cause): Cause {
  return { who, why, ...(commit === undefined ? {} : { commit }), ...(request === undefined ? {} : { request }) };
}
