import { z } from "zod";
import { leastIntervalMs, mostMeasurements, mostMetrics, routerQuantities, unknownWord } from "../model/analysis.ts";

const mostMs = 30 * 86_400_000;
const words = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "holds a NUL or half a character")
    .refine((value) => unknownWord(value) === undefined, "holds a $word that stands for nothing");
const address = words(2_000).regex(/^https?:\/\/[\x21-\x7e]+$/);
const share = z.number().min(0).max(1);
const of = z.enum(["result", "status"]);
const condition = z
  .union([
    z.strictObject({ of, is: z.enum(["<", "<=", ">", ">=", "==", "!="]), than: z.number() }),
    z.strictObject({ of, is: z.literal("in"), from: z.number(), to: z.number() }),
  ])
  .nullable();

const provider = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("error-rule"),
    rule: z.strictObject({
      floor: share.min(0.0001).max(0.5),
      ratio: z.number().min(1).max(100),
      leastRequests: z.int().min(1).max(1_000_000),
    }),
  }),
  z.strictObject({ kind: z.literal("router"), quantity: z.enum(routerQuantities) }),
  z.strictObject({ kind: z.literal("prometheus"), url: address, query: words(4_096) }),
  z.strictObject({
    kind: z.literal("http"),
    url: z.union([address, words(600).regex(/^\/[\x21-\x7e]*$/)]),
    json: words(500).nullable(),
  }),
  z.strictObject({ kind: z.literal("command"), command: z.array(words(4_096)).min(1).max(100) }),
]);

const limit = z.int().min(0).max(mostMeasurements);
const metric = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  provider,
  initialDelayMs: z.int().min(0).max(mostMs),
  intervalMs: z.int().min(leastIntervalMs).max(3_600_000),
  count: limit.min(1).nullable(),
  success: condition,
  failure: condition,
  failureLimit: limit,
  inconclusiveLimit: limit,
  errorLimit: limit,
  successLimit: limit.min(1).nullable(),
});

/** `Analysis` of src/model/analysis.ts. */
export const analysis = z.strictObject({
  metrics: z
    .array(metric)
    .min(1)
    .max(mostMetrics)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "names one twice"),
});
