import assert from "node:assert/strict";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { environmentKey, releaseState, type EnvironmentRecord } from "../ledger/state.ts";
import { sha256 } from "../model/canonical.ts";
import {
  contentDigest,
  defaultEnvironmentSettings,
  defaultRunSettings,
  type EnvironmentSettings,
  type RunSettings,
} from "../model/content.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import { createWorld, type World } from "./world.ts";

/** Helpers of the tests that run a whole world: one app, asked for things by one person. */
export const app = parseAppName("shop");
export const environment = parseEnvironmentName("production");
export const asked = { app, environment, who: "ada", why: "" };

export function request(text: string, settings: Partial<EnvironmentSettings> = {}, run: Partial<RunSettings> = {}) {
  return {
    ...asked,
    artifact: sha256(text),
    settings: { ...defaultRunSettings, ...run },
    config: {},
    environmentSettings: { ...defaultEnvironmentSettings, instances: 2, ...settings },
  };
}

/** Digest of the content that `request(text, …, run)` releases. */
export function digestOf(text: string, run: Partial<RunSettings> = {}) {
  return contentDigest({
    artifact: sha256(text),
    config: {},
    secrets: {},
    settings: { ...defaultRunSettings, ...run },
  });
}

/** Lets time pass until a request is answered. */
export async function done<Result>(world: World, work: Promise<Result>, mostMs = 120_000): Promise<Result> {
  let settled = false;
  const watched = work.finally(() => (settled = true));
  watched.catch(() => {});
  await world.clock.until(() => settled, mostMs);
  assert.ok(settled, "the request was not answered in time");
  return watched;
}

export async function fails(world: World, work: Promise<unknown>, code: string): Promise<OperatorError> {
  const error = await done(world, work).then(
    () => assert.fail(`${code} was expected`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OperatorError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

export function recordOf(controller: Controller): EnvironmentRecord {
  const record = controller.state.environments.get(environmentKey(app, environment));
  assert.ok(record);
  return record;
}

export const states = (controller: Controller) =>
  [...recordOf(controller).releases.values()].map((release) => [release.number, release.of, releaseState(release)]);
export const live = (controller: Controller) => recordOf(controller).live?.release;
export const names = (controller: Controller, set: string) =>
  controller.fleet
    .all()
    .filter((one) => one.set === set)
    .map(({ name }) => name);

/** A world in which v1, a content like any other, is live and proven. */
export async function oneLive(): Promise<{ world: World; controller: Controller }> {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  await world.clock.advance(61_000);
  return { world, controller };
}
