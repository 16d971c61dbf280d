import { OperatorError } from "../errors/operator-error.ts";
import { environmentKey, type EnvironmentRecord, type ReleaseRecord } from "../ledger/state.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import type { Controller } from "./controller.ts";

/** @throws {OperatorError} `NOT_FOUND`, naming what is there */
export function knownEnvironment(
  controller: Controller,
  app: AppName,
  environment: EnvironmentName,
): EnvironmentRecord {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) throw unknownEnvironment(controller, app, environment);
  return record;
}

/** @throws {OperatorError} `NOT_FOUND` */
export function namedRelease(record: EnvironmentRecord, number: number): ReleaseRecord {
  const release = record.releases.get(number);
  if (release !== undefined) return release;
  throw new OperatorError("NOT_FOUND", `Cannot find release v${number} of ${record.app} in ${record.environment}`, {
    hint:
      record.lastRelease === 0
        ? "it has no release yet"
        : `there are v1 to v${record.lastRelease}: see \`bronze releases\``,
  });
}

/** `NOT_FOUND`, naming what is there and what was most likely meant. */
export function unknownEnvironment(
  controller: Controller,
  app: string | undefined,
  environment: string | undefined,
): OperatorError {
  const known = [...controller.state.environments.values()]
    .map((record) => `${record.app} in ${record.environment}`)
    .sort();
  const wanted = environment === undefined ? `${app}` : `${app} in ${environment}`;
  const near = nearestName(
    wanted,
    environment === undefined ? [...controller.state.environments.values()].map((record) => record.app) : known,
  );
  return new OperatorError("NOT_FOUND", `Cannot find ${wanted}: this daemon does not know it`, {
    hint:
      known.length === 0
        ? "nothing was deployed yet: run `bronze up`"
        : `${near === undefined ? "" : `did you mean ${near}? `}it knows ${known.slice(0, 10).join(", ")}`,
    details: { known },
  });
}
