import { z } from "zod";
import { OperatorError } from "../errors/operator-error.ts";
import { randomFrom } from "./random.ts";

/** What a real run takes the time of. */
export const timedSteps = ["start", "ready", "remove", "place", "route", "append"] as const;
export type TimedStep = (typeof timedSteps)[number];

/** Most recorded times of a step. */
export const mostTimes = 200;
/** Longest time that is recorded or believed, in ms. */
export const longestMs = 60_000;
const mostBytes = 65_536;

const times = z.array(z.number().min(0).max(longestMs)).min(1).max(mostTimes).readonly();
const schema = z.strictObject({
  version: z.literal(1),
  ms: z.strictObject({ start: times, ready: times, remove: times, place: times, route: times, append: times }),
});

/** Times of a real run: of each step in ms, in the order in which they were taken. */
export type Timings = z.infer<typeof schema>;

/** Reads what a real run wrote. @throws {OperatorError} `ARGUMENT_INVALID` naming what is wrong with it */
export function parseTimings(text: string): Timings {
  const refuse = (why: string): OperatorError =>
    new OperatorError("ARGUMENT_INVALID", `Cannot use these timings: ${why}`, {
      hint: "take them anew: `npm run -s timings -- FILE`",
    });
  if (Buffer.byteLength(text) > mostBytes) throw refuse(`more than ${mostBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse("not JSON");
  }
  const { data, error } = schema.safeParse(value);
  if (data === undefined) throw refuse(`${error.issues[0]?.path.join(".") ?? ""}: ${error.issues[0]?.message ?? ""}`);
  return data;
}

/** Gives one of the recorded times of a step, in whole ms, as a story has them; equal seeds give equal times in the same order. */
export function drawTimings({ ms }: Timings, seed: number): (step: TimedStep) => number {
  const random = randomFrom(seed ^ 0x74696d65);
  return (step) => Math.ceil(ms[step][random.below(ms[step].length)] ?? 0);
}
