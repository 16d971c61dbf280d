import { z } from "zod";
import { mostTasks } from "../definition/tasks.ts";
import { revokedModes, trustModes } from "../model/content.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { analysis } from "./analysis-schema.ts";
import type { Digest } from "../model/canonical.ts";
import {
  configNameProblem,
  configSizeProblem,
  configValueProblem,
  mostConfigNames,
  type ConfigOverrides,
} from "../model/config.ts";
import {
  parseAppName,
  parseDigest,
  parseEnvironmentName,
  type AppName,
  type EnvironmentName,
  isWorker,
  parseProcessName,
  type ProcessName,
} from "../model/names.ts";
import { maxInstances, mostWorkers } from "../model/processes.ts";
import {
  isNone,
  mostSteps,
  parseAmount,
  plainStrategy,
  wholeWeight,
  type Amount,
  type AmountName,
} from "../model/strategy.ts";
import { isTakenPath, mostVolumes, parseSnapshotName, parseVolumeName } from "../model/volumes.ts";
import { mostSecretBytes, mostSecrets, parseSecretName, whyNoVariable, type SecretName } from "../model/secret.ts";

/** Longest text of who and why, in characters. */
const mostText = 1_000;
const mostMs = 30 * 86_400_000;

/** Text that a program's arguments and the ledger can carry. */
const text = (mostCharacters: number) =>
  z
    .string()
    .max(mostCharacters)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "holds a NUL or half a character");

const appName = z.string().transform((text): AppName => parseAppName(text));
const environmentName = z.string().transform((text): EnvironmentName => parseEnvironmentName(text));
const digest = z.string().transform((text): Digest => parseDigest(text));
const ms = z.int().min(0).max(mostMs);
const absolutePath = text(4_096).regex(/^\/[^\0\n]*$/);
const release = z.int().min(1).max(999_999_999);

const asked = {
  app: appName,
  environment: environmentName,
  who: text(mostText),
  why: text(mostText),
};

const requestName = z
  .string()
  .regex(/^[0-9a-z-]{1,64}$/)
  .optional();

const resources = z.strictObject({
  memoryBytes: z
    .int()
    .min(1_048_576)
    .max(2 ** 50)
    .nullable(),
  cpu: z.number().min(0.01).max(1_024).nullable(),
  pids: z.int().min(1).max(4_194_304),
});
const command = z.array(text(32_768)).min(1).max(1_000);
const workerName = z
  .string()
  .transform((name): ProcessName => parseProcessName(name))
  .refine(isWorker, "is not a worker's name");
const ofEachWorker = <Value extends z.ZodType>(value: Value) =>
  z
    .record(workerName, value)
    .refine((all) => Object.keys(all).length <= mostWorkers, `has more than ${mostWorkers} processes`);
const taskMs = ms.min(1);

const tests = z
  .array(
    z.strictObject({
      run: command,
      deadlineMs: taskMs,
      env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), text(32_768)),
    }),
  )
  .min(1)
  .max(mostTasks);

const checks = z
  .array(
    z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("run"), run: command, deadlineMs: taskMs }),
      z.strictObject({ kind: z.literal("path"), path: absolutePath, status: z.int().min(100).max(599).nullable() }),
    ]),
  )
  .min(1)
  .max(mostTasks);

const volumes = z
  .record(
    z.string().transform((text): string => parseVolumeName(text)),
    z.strictObject({
      path: absolutePath.refine((path) => !isTakenPath(path), "is not an app's to write to"),
      sharing: z.enum(["exclusive", "shared"]),
      snapshot: z.boolean(),
      app: appName.optional(),
    }),
  )
  .refine((value) => Object.keys(value).length <= mostVolumes, `has more than ${mostVolumes} volumes`);

const worker = z.strictObject({ command, resources, drainMs: ms, volumes: volumes.optional() });

const runSettings = z.strictObject({
  command: command.nullable(),
  port: z.int().min(1).max(65_535),
  health: z
    .strictObject({ path: absolutePath.nullable(), tcp: z.literal(true).optional(), deadlineMs: ms.min(1) })
    .refine(({ path, tcp }) => path === null || tcp === undefined, "asks for a path and for a connection only"),
  drainMs: ms,
  minReadyMs: ms,
  resources,
  processes: ofEachWorker(worker).optional(),
  capabilities: z.array(z.string().regex(/^CAP_[A-Z_]{2,40}$/)).max(64),
  tmpfs: z.array(absolutePath).max(64),
  release: z.strictObject({ run: command, reversible: z.boolean(), deadlineMs: taskMs }).optional(),
  volumes: volumes.optional(),
});

const workerCounts = ofEachWorker(z.int().min(0).max(maxInstances));

const route = z.strictObject({
  host: z
    .string()
    .max(253)
    .regex(/^[a-z0-9.-]+$/)
    .nullable(),
  path: z
    .string()
    .max(1_024)
    .regex(/^\/([^\s?#]*\/)?$/),
});

const amount = (of: AmountName) =>
  z.union([z.int(), z.string().endsWith("%")]).transform((given, { addIssue }): Amount => {
    const read = parseAmount(String(given), of);
    if (read === undefined) addIssue("is no number of instances or percentage");
    return read ?? 0;
  });
const strategy = z.union([
  z.literal("blue-green").transform(() => plainStrategy),
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("recreate") }),
    z
      .strictObject({
        kind: z.literal("rolling"),
        maxSurge: amount("maxSurge"),
        maxUnavailable: amount("maxUnavailable"),
        analysis: analysis.optional(),
      })
      .refine(({ maxSurge, maxUnavailable }) => !isNone(maxSurge) || !isNone(maxUnavailable), "replaces no instance"),
    z.strictObject({
      kind: z.literal("blue-green"),
      holdMs: ms.nullable(),
      preview: route.optional(),
      analysis: analysis.optional(),
    }),
    z.strictObject({
      kind: z.literal("canary"),
      steps: z
        .array(
          z.strictObject({
            weight: z.int().min(1).max(wholeWeight),
            holdMs: ms.nullable(),
            analyse: z.boolean(),
          }),
        )
        .min(1)
        .max(mostSteps)
        .refine((steps) => steps.every(({ weight }, at) => weight > (steps[at - 1]?.weight ?? 0)), "must grow"),
      analysis: analysis.optional(),
    }),
  ]),
]);

const environmentSettings = z.strictObject({
  instances: z.int().min(1).max(maxInstances),
  processes: workerCounts.optional(),
  strategy,
  deadlineMs: ms.min(1),
  keepWarmMs: ms,
  withinMs: ms.nullable(),
  watchMs: ms,
  route: route.nullable(),
  checks: checks.optional(),
  limits: z
    .strictObject({
      memoryBytes: z
        .int()
        .min(1_048_576)
        .max(2 ** 50)
        .nullable(),
      cpu: z.number().min(0.01).max(1_024).nullable(),
      pids: z.int().min(1).max(4_194_304).nullable(),
    })
    .optional(),
  needs: z.array(appName).min(1).max(64).optional(),
  trust: z.enum(trustModes).optional(),
  revoked: z.enum(revokedModes).optional(),
});

const refuseVariables = (values: ConfigOverrides, context: z.core.$RefinementCtx): void => {
  for (const [name, value] of Object.entries(values)) {
    const problem = configNameProblem(name) ?? (value === null ? undefined : configValueProblem(value));
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem, path: [name] });
  }
  const problem = configSizeProblem(values);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
};
const config = z.record(z.string(), z.string()).superRefine(refuseVariables);
const overrides = z.record(z.string(), z.string().nullable()).superRefine(refuseVariables);

const secretName = z.string().transform((text): SecretName => parseSecretName(text));
/** Bytes in base64; what is wrong with them is told without them. */
const secretValue = z
  .base64()
  .min(1)
  .max(Math.ceil(mostSecretBytes / 3) * 4)
  .refine((value) => Buffer.byteLength(value, "base64") <= mostSecretBytes, `is longer than ${mostSecretBytes} bytes`);
const wantedSecrets = z
  .array(z.strictObject({ name: secretName, variable: z.boolean(), value: secretValue.optional() }))
  .max(mostSecrets)
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "names one twice")
  .refine((all) => all.every((one) => !one.variable || whyNoVariable(one.name) === undefined), "cannot be a variable");

export const secretSetSchema = z.strictObject({
  ...asked,
  request: requestName,
  name: secretName,
  value: secretValue,
  rotate: z.boolean(),
});
export const secretRevokeSchema = z.strictObject({
  ...asked,
  request: requestName,
  name: secretName,
  version: release.optional(),
});
const volumeName = z.string().transform((text): string => parseVolumeName(text));
const snapshotName = z.string().transform((text): string => parseSnapshotName(text));
export const volumeSnapshotSchema = z.strictObject({ ...asked, volume: volumeName, snapshot: snapshotName.optional() });
export const volumeRestoreSchema = z.strictObject({
  ...asked,
  volume: volumeName,
  snapshot: snapshotName.optional(),
  as: volumeName.optional(),
});
export const volumeRemoveSchema = z.strictObject({
  ...asked,
  volume: volumeName,
  snapshot: snapshotName.optional(),
  yes: z.boolean(),
});
export const secretCheckSchema = z.strictObject({ app: appName, environment: environmentName, secrets: wantedSecrets });
export const secretRemoveSchema = z.strictObject({ ...asked, name: secretName, yes: z.boolean() });
export const passphraseSchema = z.strictObject({ passphrase: text(mostText).min(1).nullable() });

export const deploySchema = z.strictObject({
  ...asked,
  artifact: digest,
  settings: runSettings,
  config,
  from: environmentName.optional(),
  promote: z.boolean().optional(),
  secrets: wantedSecrets.optional(),
  environmentSettings,
  tests: tests.optional(),
  commit: z
    .string()
    .regex(/^[0-9a-f]{40,64}$/)
    .optional(),
  request: requestName,
});
export const rollbackSchema = z.strictObject({ ...asked, request: requestName, to: release.optional() });
export const rolloutSchema = z.strictObject({ ...asked, action: z.enum(["pause", "resume", "complete", "abort"]) });
export const allowSchema = z.strictObject({ ...asked, release });
export const configSchema = z.strictObject({
  ...asked,
  request: requestName,
  set: overrides.optional(),
  unset: z.array(text(mostText)).max(mostConfigNames).optional(),
  unsetAll: z.boolean().optional(),
});
export const scaleSchema = z
  .strictObject({
    ...asked,
    instances: z.int().min(1).max(maxInstances).optional(),
    processes: workerCounts.optional(),
  })
  .refine(
    ({ instances, processes = {} }) => instances !== undefined || Object.keys(processes).length > 0,
    "names no number",
  );
export const downSchema = z
  .strictObject({
    app: appName.optional(),
    environment: environmentName.optional(),
    all: z.boolean().optional(),
    who: asked.who,
    why: asked.why,
  })
  .refine(({ app, all }) => (all === true) === (app === undefined), "must name either an app or all")
  .refine(({ app, environment }) => app !== undefined || environment === undefined, "names an environment of no app");
export const runSchema = z.strictObject({
  ...asked,
  command,
  release: release.optional(),
  like: z.string().max(100).optional(),
  request: z.string().regex(/^[0-9a-z-]{1,64}$/),
  seen: z.int().min(0),
});
export const revokeSchema = z.strictObject({
  artifact: digest,
  who: asked.who,
  why: asked.why,
  undo: z.boolean().optional(),
});
export const storageSchema = z.strictObject({ mend: z.boolean() });
export const waitSchema = z.strictObject({ app: appName, environment: environmentName, release });

const number = z
  .string()
  .regex(/^[0-9]{1,15}$/)
  .transform(Number);
/** Query parameters of all reading routes; each takes those it needs. */
export const querySchema = z.strictObject({
  app: appName.optional(),
  environment: environmentName.optional(),
  at: number.optional(),
  release: number.optional(),
  limit: number.optional(),
  after: number.optional(),
  instance: z.string().max(120).optional(),
  process: z
    .string()
    .transform((name): ProcessName => parseProcessName(name))
    .optional(),
  lines: number.optional(),
  follow: z.string().max(5).optional(),
});

/** The same where one environment is meant. */
export const oneEnvironmentSchema = querySchema.required({ app: true, environment: true });

/** @throws {OperatorError} `ARGUMENT_INVALID`, naming each problem with its path */
export function parseWith<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.join(".").slice(0, 100) || "body"}: ${issue.message.slice(0, 300)}`);
  throw new OperatorError("ARGUMENT_INVALID", `Cannot read the ${what}: ${problems.join("; ")}`, {
    hint: "the shapes stand in src/model/api/asked.ts; client and daemon may be of different versions",
    details: { problems },
  });
}
