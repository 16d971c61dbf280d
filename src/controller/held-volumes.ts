import { OperatorError } from "../errors/operator-error.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { Content, EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { wantedInstances } from "../model/processes.ts";
import { allVolumesOf, clashes, formatVolume } from "../model/volumes.ts";

/** What is to run, where, and how often. */
export interface VolumesWanted {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly content: Pick<Content, "settings">;
  readonly settings: EnvironmentSettings;
}

/**
 * Refuses what could never run: a volume that only one may have, wanted by several instances, by two processes, or by
 * another app that runs here.
 *
 * @throws {OperatorError} `VOLUME_HELD`, naming who has it
 */
export function refuseHeldVolumes(state: LedgerState, wanted: VolumesWanted): void {
  const { app, environment, content, settings } = wanted;
  const own = allVolumesOf(content.settings, wanted);
  const shareHint = "where they can share it write `shared: true` for the volume, for all that have it";
  own.forEach((volume, index) => {
    const { id, mount, process } = volume;
    const [twice] = clashes([volume], own.slice(0, index));
    if (twice !== undefined) {
      const other = own.find((one) => formatVolume(one.id) === formatVolume(twice));
      throw held(wanted, id.name, `process ${other?.process ?? ""} has it, and process ${process} wants it`, shareHint);
    }
    const count = wantedInstances(settings, process);
    if (mount.sharing === "exclusive" && count > 1) {
      const hint = `have 1 instance of ${process}; ${shareHint}`;
      throw held(wanted, id.name, `${count} instances of ${process} want it`, hint);
    }
  });
  for (const other of state.environments.values()) {
    if (other.environment !== environment || other.app === app) continue;
    for (const number of [other.live?.release, other.active]) {
      const release = number === undefined || number === null ? undefined : other.releases.get(number);
      const theirs = release === undefined ? [] : allVolumesOf(release.content.settings, other);
      const [both] = clashes(own, theirs);
      if (both !== undefined)
        throw held(wanted, both.name, `app ${other.app} has it by v${release?.number ?? 0}`, shareHint);
    }
  }
}

function held({ app, environment }: VolumesWanted, volume: string, finding: string, hint: string): OperatorError {
  return new OperatorError(
    "VOLUME_HELD",
    `Cannot give volume "${volume}" to ${app} in ${environment}: ${finding}, and only one may have it`,
    { hint },
  );
}
