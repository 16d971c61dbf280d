import type { MetricAnswer, MetricQuery } from "../../ports/metrics.ts";
import { exchange } from "./exchange.ts";

type Query = Extract<MetricQuery, { kind: "http" }>;

/** Asks a URL for its status, and where it is wanted for a number of its JSON answer. */
export async function askHttp({ url, headers, json }: Query, signal: AbortSignal): Promise<MetricAnswer> {
  const answer = await exchange({ url: new URL(url), headers }, signal);
  if ("failed" in answer) return { kind: "error", reason: `the address ${answer.failed}` };
  const { status, body } = answer;
  if (json === null) return { kind: "values", values: { status } };
  const result = numberAt(body, json);
  // What fails seldom answers as it does when it is well: its status may be all that is asked for.
  return { kind: "values", values: { status, ...(result === undefined ? {} : { result }) } };
}

/** The number at a path of a JSON text, true and false as 1 and 0; undefined: there is none. */
export function numberAt(text: string, path: string): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  for (const key of path.split(/[.[\]]/).filter((part) => part !== "")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  if (typeof value === "boolean") return value ? 1 : 0;
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
