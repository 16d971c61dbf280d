import { instanceName, splitInstanceName, type ProcessName, type SetName } from "../model/names.ts";
import { defaultRunSettings, type EnvironmentSettings, type RunSettings } from "../model/content.ts";
import { digestOf, request } from "./testing.ts";
import type { World } from "./world.ts";

/** Helpers of the tests about workers: an app with web and one other process. */
export const worker = "worker" as ProcessName;
export const drainMs = 20_000;
const withWorker: Partial<RunSettings> = {
  processes: { worker: { command: ["work"], resources: defaultRunSettings.resources, drainMs } },
};

export function workRequest(text: string, settings: Partial<EnvironmentSettings> = {}) {
  return request(text, { instances: 1, ...settings }, withWorker);
}

/** Digest of the content that `workRequest(text)` releases. */
export const workDigest = (text: string) => digestOf(text, withWorker);

export const workerName = (release: number, ordinal = 1) =>
  instanceName(`shop-production-v${release}` as SetName, ordinal, worker);

/** Workers that have a process now, by name. */
export async function workersNow(world: World): Promise<readonly string[]> {
  const seen = await world.machine.runtime().observe();
  return seen.filter(({ process, phase }) => process === worker && phase === "running").map(({ name }) => name);
}

/** Lets time pass and looks every few ms. @returns longest time that workers of two contents ran side by side, in ms */
export async function besideFor(world: World, ms: number, stepMs = 10): Promise<number> {
  let longest = 0;
  let current = 0;
  for (let passed = 0; passed < ms; passed += stepMs) {
    await world.clock.advance(stepMs);
    const sets = new Set((await workersNow(world)).map((name) => splitInstanceName(name)?.set));
    current = sets.size > 1 ? current + stepMs : 0;
    longest = Math.max(longest, current);
  }
  return longest;
}
