import { OperatorError } from "../errors/operator-error.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import type { ScaleRequest, ScaleResult } from "../model/api/releases.ts";
import type { ProcessName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import { withCounts, workersOf, type Counts } from "../model/processes.ts";
import { causeOf, comingSettings } from "./begin.ts";
import { keyOf, type Controller } from "./controller.ts";
import { refuseHeldVolumes } from "./held-volumes.ts";
import { knownEnvironment } from "./known.ts";
import { same, settingsHold } from "./settings.ts";

/**
 * Changes numbers of instances; resolves when as many do their work. A rollout under way brings them by its own steps, and may
 * wait for a person: then it resolves at once.
 *
 * @throws {OperatorError} `NOT_FOUND` for a process that the content does not have, `VOLUME_HELD` and `ROLLOUT_UNHEALTHY`
 */
export async function scale(controller: Controller, request: ScaleRequest): Promise<ScaleResult> {
  const record = knownEnvironment(controller, request.app, request.environment);
  refuseUnknownProcess(record, request);
  const { app, environment, instances, processes } = request;
  const counts: Counts = {
    ...(instances !== undefined && { instances }),
    ...(processes !== undefined && { processes }),
  };
  let isNew = false;
  for (const number of [record.live?.release, record.active]) {
    const release = number === undefined || number === null ? undefined : record.releases.get(number);
    if (release === undefined) continue;
    const before = comingSettings(record, release);
    const settings = withCounts(before, counts);
    refuseHeldVolumes(controller.state, { ...release, ...request, settings });
    isNew ||= !same(before, settings);
  }
  const settings = withCounts(record.settings, counts);
  if (isNew || !same(record.settings, settings)) {
    const cause = causeOf(request);
    controller.recorder.append({ kind: "environment.changed", app, environment, settings, counts, cause });
  }
  controller.tick(keyOf(record));
  const rollout = record.active;
  if (record.live !== null && rollout === null) await settingsHold(controller, record);
  return { rollout };
}

/** What it has is what it would have next: of the rollout under way, of what is live, of what was last. */
function refuseUnknownProcess(record: EnvironmentRecord, { processes = {} }: ScaleRequest): void {
  const release = record.releases.get(record.active ?? record.live?.release ?? record.lastRelease);
  const known = release === undefined ? [] : workersOf(release.content.settings);
  const unknown = Object.keys(processes).find((process) => !known.includes(process as ProcessName));
  if (unknown === undefined) return;
  const near = nearestName(unknown, known);
  const there = known.length === 0 ? "it has web alone" : `it has web, ${known.join(", ")}`;
  throw new OperatorError("NOT_FOUND", `Cannot scale ${unknown} of ${record.app}: there is no such process`, {
    hint: `${near === undefined ? "" : `did you mean ${near}? `}${there}; others are written under processes: in bronze.yaml`,
  });
}
