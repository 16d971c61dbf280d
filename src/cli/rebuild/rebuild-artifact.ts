import { join } from "node:path";
import { buildArtifact } from "../../build/build.ts";
import { compareArtifacts, type ArtifactDifference } from "../../build/compare.ts";
import { machinePlatform } from "../../build/dockerfile/base-image.ts";
import type { SecretValue } from "../../build/options.ts";
import { givingWay } from "../../build/priority.ts";
import { checkOut } from "../../build/rebuild/checkout.ts";
import { restoreContext } from "../../build/rebuild/kept-context.ts";
import { pinLock } from "../../build/rebuild/pin-lock.ts";
import { planRebuild, type RebuildPlan } from "../../build/rebuild/plan.ts";
import { seedCache } from "../../build/rebuild/seed.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { createLocalStore } from "../../store/local.ts";
import type { Provenance } from "../../trust/provenance.ts";
import { createBuildProgress } from "../build-progress.ts";
import { lazyStepRunner } from "../build-project.ts";
import { inCheckFolder } from "../check/check-folder.ts";
import { createThrowAwayState } from "../check/throw-away-state.ts";
import type { Context } from "../context.ts";
import { openRegistry, type RegistryOptions } from "../registry.ts";

export interface RebuildOptions extends RegistryOptions {
  /** A folder of a clone that may have the commit. */
  readonly source: string;
  /** Refuse what used the network instead of taking what it made. */
  readonly strict: boolean;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly secrets: readonly SecretValue[];
  readonly progress: "auto" | "plain";
}

/** What came of it. */
export interface Rebuilt {
  readonly digest: Digest;
  /** Names of the steps that had used the network and whose outputs were taken as they were. */
  readonly replayed: readonly string[];
  /** Of such steps those that had to be run again: what they stood on came out otherwise. */
  readonly runAgain: readonly string[];
  /** Where the files came from. */
  readonly files: "kept" | "commit";
  /** The first difference; null: there is none. */
  readonly difference: ArtifactDifference | null;
}

/**
 * Makes an artifact again from what its provenance says, in a state folder of its own that is gone afterwards.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID` for what only a person can give, `NOT_FOUND`, `NOT_REPRODUCIBLE` for strictness,
 * `MACHINE_REFUSED`, and what a build throws
 */
export async function rebuildArtifact(
  context: Context,
  store: Store,
  artifact: Digest,
  provenance: Provenance,
  options: RebuildOptions,
): Promise<Rebuilt> {
  const plan = planRebuild(provenance);
  checkPlan(plan, options);
  return inCheckFolder(context.places.state, async (dir) => {
    const state = await createThrowAwayState(context.places.state, join(dir, "state"));
    const cacheDir = join(state, "cache");
    const project = join(dir, "files");
    const { signal } = context;
    const isKept = plan.context.kept !== null;
    let folder = project;
    if (isKept) await restoreContext(artifact, plan.context, project, store);
    else if (plan.source === null) throw new Error("what has no commit has its files kept");
    else folder = await checkOut(plan.source, { from: options.source, dir: project, signal });
    await pinLock(plan, folder, signal);
    await seedCache(plan, cacheDir);
    const { digest: made, found } = await build(context, plan, { ...options, folder, state, cacheDir });
    const online = plan.replayed.map(({ name }) => name);
    const rebuilt = createLocalStore(join(state, "store"));
    const differences = compareArtifacts({ blobs: store, digest: artifact }, { blobs: rebuilt, digest: made });
    let difference: ArtifactDifference | null = null;
    if (made !== artifact)
      for await (const found of differences) {
        difference = found;
        break;
      }
    return {
      digest: made,
      replayed: online.filter((name) => found.has(name)),
      runAgain: online.filter((name) => !found.has(name)),
      files: isKept ? "kept" : "commit",
      difference,
    };
  });
}

/** @returns what came out, and names of the steps whose outputs were there */
async function build(
  context: Context,
  plan: RebuildPlan,
  options: RebuildOptions & { readonly folder: string; readonly state: string; readonly cacheDir: string },
): Promise<{ readonly digest: Digest; readonly found: ReadonlySet<string> }> {
  const { folder, state, cacheDir } = options;
  const progress = createBuildProgress({
    screen: process.stderr,
    env: process.env,
    style: options.progress,
    logFolder: join(cacheDir, "logs"),
  });
  const steps = lazyStepRunner(cacheDir);
  const given = new Set(options.secrets.map(({ id }) => id));
  // A step that is not run again does not read it; that there was one is part of what it is found by.
  const unread = plan.secrets.filter((id) => !given.has(id)).map((id) => ({ id, value: Buffer.alloc(0) }));
  const { build: definition, source } = plan;
  try {
    const { digest } = await givingWay(() =>
      buildArtifact(definition.kind === "debian" ? { ...definition, architectures: [] } : definition, {
        projectDir: folder,
        store: createLocalStore(join(state, "store")),
        registry: openRegistry(context, options),
        cacheDir,
        steps: steps.get,
        report: progress.report,
        signal: context.signal,
        buildArgs: new Map([...plan.buildArgs, ...options.buildArgs]),
        secrets: [...options.secrets, ...unread],
        ...(plan.target === undefined ? {} : { target: plan.target }),
        source: Promise.resolve({
          epoch: plan.epoch,
          commit: source?.commit ?? null,
          dirty: source?.dirty === true,
          repository: null,
          folder: "",
          ignored: null,
          warnings: [],
        }),
      }),
    );
    const found = progress.steps.filter(({ how }) => how === "cached").map(({ step }) => step);
    return { digest, found: new Set(found) };
  } finally {
    progress.end();
    await steps.close();
  }
}

function checkPlan(plan: RebuildPlan, { strict, buildArgs }: RebuildOptions): void {
  if (process.getuid?.() !== 0)
    throw new OperatorError("MACHINE_REFUSED", "Cannot make it again: steps are run as root", {
      hint: "run it as root",
    });
  if (plan.platform !== machinePlatform())
    throw new OperatorError(
      "MACHINE_REFUSED",
      `Cannot make it again: it was built on ${plan.platform}, this is ${machinePlatform()}`,
      {
        hint: "run it on a machine of that kind",
      },
    );
  const missing = plan.secretArgs.filter((name) => !buildArgs.has(name) && !/_?proxy$/i.test(name));
  if (missing.length > 0)
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot make it again: nobody wrote down the value of ${missing.join(", ")}`,
      {
        hint: `give it again: ${missing.map((name) => `--build-arg ${name}=…`).join(" ")}`,
      },
    );
  const used = [
    ...plan.replayed.map(({ name, instruction }) => `${name}: ${instruction}`),
    ...plan.downloads.map(({ address }) => `ADD ${address}`),
  ];
  if (strict && used.length > 0)
    throw new OperatorError(
      "NOT_REPRODUCIBLE",
      `Cannot make it again strictly: ${used.length === 1 ? "a step" : `${used.length} steps`} used the network`,
      {
        hint: "without --strict what they made is taken as it was kept; to do without, fetch before the build and COPY, and write RUN --network=none",
        cause: used.join("\n"),
        details: { steps: used },
      },
    );
}
