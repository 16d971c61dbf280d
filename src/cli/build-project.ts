import { dirname, join, resolve } from "node:path";
import { buildArtifact } from "../build/build.ts";
import type { BuiltArtifact } from "../build/options.ts";
import { givingWay } from "../build/priority.ts";
import { readSource, type Source } from "../build/source.ts";
import { formatDuration } from "../model/quantities.ts";
import type { StepRunner } from "../ports/step-runner.ts";
import { signStatement } from "../store/attestations.ts";
import { createBuildProgress } from "./build-progress.ts";
import { cacheBounds } from "./cache-bounds.ts";
import { readBuildOptions, type BuildOptions } from "./build-options.ts";
import type { Context } from "./context.ts";
import { cacheFolder, newestTag, openStore, tools } from "./local-store.ts";
import type { StepRecord } from "./progress/step.ts";
import type { Project } from "./project.ts";
import { openKeyring } from "./keyring.ts";
import { openRegistry, type RegistryOptions } from "./registry.ts";
import { settingNotes } from "./run-settings.ts";
import { clearSteps } from "./step-leftovers.ts";

/** Begins to ask git about a definition's folder: it answers while the definition is read. */
export function askSource(context: Context, file: string): Promise<Source> {
  const source = readSource(dirname(resolve(file)), { cacheDir: cacheFolder(context), signal: context.signal });
  // Whoever builds hears of a failure; until then it is nobody's.
  source.catch(() => undefined);
  return source;
}

/** The artifact, and how it came to be. */
export interface BuiltProject {
  readonly artifact: BuiltArtifact;
  readonly steps: readonly StepRecord[];
  readonly warnings: readonly string[];
}

/** Builds the project's artifact into the store, showing what it does. */
export async function buildProject(
  context: Context,
  { definition, folder, file }: Project,
  options: RegistryOptions &
    BuildOptions & {
      readonly noCache?: boolean;
      readonly progress?: "auto" | "plain";
      readonly source?: Promise<Source>;
    },
): Promise<BuiltProject> {
  const { output, signal } = context;
  const given = await readBuildOptions(options);
  const startedAt = performance.now();
  const cacheDir = cacheFolder(context);
  const bounds = cacheBounds();
  const progress = createBuildProgress({
    screen: process.stderr,
    env: process.env,
    style: options.progress ?? "auto",
    logFolder: join(cacheDir, "logs"),
  });
  const steps = lazyStepRunner(cacheDir);
  const store = openStore(context);
  const keyring = openKeyring(context);
  // While git answers.
  if (evidenceWanted()) void keyring.prepare();
  try {
    await clearSteps(cacheDir);
    const artifact = await givingWay(() =>
      buildArtifact(definition.build, {
        projectDir: folder,
        store,
        registry: openRegistry(context, options),
        cacheDir,
        steps: steps.get,
        report: progress.report,
        signal,
        tagAs: newestTag(definition.app),
        ...(evidenceWanted()
          ? {
              evidence: { place: { app: definition.app, path: file.name, digest: file.digest }, tools },
              attest: (artifact, statement) =>
                signStatement(store, keyring, artifact, { ...statement, subject: artifact.digest }),
            }
          : {}),
        noCache: options.noCache === true,
        ...(options.source === undefined ? {} : { source: options.source }),
        ...given,
        ...bounds,
      }),
    );
    progress.end();
    const warnings = [...artifact.warnings, ...settingNotes(definition.run, artifact.config)];
    for (const warning of warnings) output.note(`${output.paint.warn("warning:")} ${warning}`);
    output.note(
      `${artifact.cached ? "unchanged" : "built"} ${artifact.digest} in ${formatDuration(performance.now() - startedAt)}`,
    );
    return { artifact, steps: progress.steps, warnings };
  } finally {
    progress.end();
    await steps.close();
  }
}

/** For the bench, which measures what evidence costs: builds without it are nothing that a person should have. */
function evidenceWanted(): boolean {
  return process.env["BRONZE_EVIDENCE"] !== "off";
}

/** Most builds run no step: neither its modules nor anything of the machine is wanted then. */
export function lazyStepRunner(cacheDir: string): { readonly get: () => Promise<StepRunner>; close(): Promise<void> } {
  let made: Promise<StepRunner> | undefined;
  return {
    get: () =>
      (made ??= import("../drivers/steps/runner.ts").then(({ createStepRunner }) => createStepRunner(cacheDir))),
    async close() {
      await (await made)?.close();
    },
  };
}
