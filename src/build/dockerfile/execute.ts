import { readFile, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { nearestName } from "../../model/nearest.ts";
import type { StepLayer, StepRunner } from "../../ports/step-runner.ts";
import type { Store } from "../../ports/store.ts";
import type { Bases } from "../bases.ts";
import type { BuildCache } from "../cache.ts";
import type { Recorder } from "../evidence/recorder.ts";
import type { ImageState } from "../image-state.ts";
import { openContext, type Context } from "../layer/context.ts";
import type { BuildEvent, SecretValue } from "../options.ts";
import { unusedArguments } from "./arguments.ts";
import { childState, imageState, machinePlatform, scratchState } from "./base-image.ts";
import { imageLayers } from "./file-layer.ts";
import { parseDockerfile, readTriggers, type ParsedDockerfile } from "./parse.ts";
import {
  foreignRun,
  imagesOf,
  planDockerfile,
  publishedStages,
  sourceNamed,
  type DockerfilePlan,
  type PlannedStage,
} from "./plan.ts";
import { dockerfileError, invalid } from "./problems.ts";
import { carryOut, isStep, placed, withFolders, type StageContext } from "./stage.ts";
import { withConfig, type StageState } from "./stage-state.ts";
import { checkSecrets } from "./run.ts";
import { createSteps } from "./steps.ts";

export interface DockerfileOptions {
  readonly projectDir: string;
  readonly path: string;
  /** A stage's name or number; null: the last one. */
  readonly target: string | null;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly secrets: readonly SecretValue[];
  readonly store: Store;
  readonly cache: BuildCache;
  readonly bases: Bases;
  /** Who runs programs; undefined: nobody. */
  readonly steps: (() => Promise<StepRunner>) | undefined;
  readonly epoch: number;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
  /** Writes down what is done; absent: nobody. */
  readonly recorder?: Recorder | undefined;
}

export interface BuiltDockerfile {
  readonly image: ImageState;
  readonly warnings: readonly string[];
}

const mostBytes = 2 ** 20;

/**
 * Builds the target of a Dockerfile. Stages that do not need each other are built beside each other; the first that fails
 * ends the others.
 *
 * @throws {OperatorError} naming file and line of what cannot be done
 */
export async function buildDockerfile(options: DockerfileOptions): Promise<BuiltDockerfile> {
  const { path: file, buildArgs, report, recorder } = options;
  const text = await readDockerfile(options.projectDir, file);
  recorder?.read(file, Buffer.from(text));
  const parsed = parseDockerfile(text, file);
  const plan = planDockerfile(parsed, { file, target: options.target, buildArgs, platform: machinePlatform() });
  const note = (text: string): void => report({ kind: "note", text });
  const warnings = parsed.warnings.map(({ line, message }) => `${file}, line ${line}: ${message}`);
  const unused = unusedArguments(parsed, buildArgs);
  if (unused.length > 0) warnings.push(`no ARG of ${file} takes ${unused.join(", ")}`);
  if (parsed.syntax !== null && !/^docker\/dockerfile(:1(\..*)?(-labs)?)?(@.*)?$/.test(parsed.syntax))
    note(`# syntax=${parsed.syntax} is read as docker/dockerfile:1`);

  for (const { instructions } of plan.stages.filter(({ index }) => plan.needed.has(index)))
    for (const instruction of instructions)
      if (instruction.kind === "run") atLine(file, instruction.line, () => checkSecrets(instruction, options.secrets));

  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, failing.signal]);
  let opened: Promise<Context> | undefined;
  const open = async (): Promise<Context> => {
    // bronze.lock may be among the files that are copied: it says all there is to say before they are read.
    const needed = plan.stages.filter((_, index) => plan.needed.has(index));
    await options.bases.pin(imagesOf(plan, needed));
    return openContext(options.projectDir, options.cache, signal, [`${file}.dockerignore`, ".dockerignore"], recorder);
  };
  const project = (): Promise<Context> => (opened ??= open());
  const build = new StageBuilder({ ...options, signal }, parsed, plan, async () => (await project()).tree);
  const stages = [...plan.needed].map(async (index) => {
    try {
      return await build.stage(index);
    } catch (error) {
      failing.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(stages);
  // What was read of the project is known to the next build, also where this one failed.
  await (await opened?.catch(() => undefined))?.save();
  options.signal.throwIfAborted();
  // The first failure is the reason; what the others say is that they were ended.
  failing.signal.throwIfAborted();
  const state = await withFolders(await build.stage(plan.target), { ...options, signal });
  return { image: state.image, warnings };
}

function atLine(file: string, line: number, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw placed(error, file, line);
  }
}

/** Carries out stages, each once, whoever asks first. */
class StageBuilder {
  readonly #options: DockerfileOptions;
  readonly #parsed: ParsedDockerfile;
  readonly #plan: DockerfilePlan;
  readonly #published: ReadonlySet<number>;
  readonly #project: StageContext["project"];
  readonly #step: StageContext["step"];
  readonly #states = new Map<number, Promise<StageState>>();
  readonly #images = new Map<string, Promise<StageState>>();
  /** What each stage waits for: a trigger of a base may name any of them. */
  readonly #waiting = new Map<number, number>();

  constructor(
    options: DockerfileOptions,
    parsed: ParsedDockerfile,
    plan: DockerfilePlan,
    project: StageContext["project"],
  ) {
    this.#options = options;
    this.#parsed = parsed;
    this.#plan = plan;
    this.#published = publishedStages(plan);
    this.#project = project;
    this.#step = createSteps(options.report, Math.max(2, availableParallelism()), options.signal);
  }

  stage(index: number): Promise<StageState> {
    const known = this.#states.get(index);
    if (known !== undefined) return known;
    // A file may chain thousands of stages: each begins with a stack of its own.
    const made = Promise.resolve().then(() => this.#build(index));
    this.#states.set(index, made);
    return made;
  }

  async #build(index: number): Promise<StageState> {
    const stage = this.#plan.stages[index];
    if (stage === undefined) throw new Error(`there is no stage ${index}`);
    const context = this.#contextOf(stage);
    const label = this.#plan.stages.length === 1 ? "" : ` of ${stage.label}`;
    const total = 1 + stage.instructions.filter(isStep).length;
    let state: StageState;
    try {
      state = await this.#begin(stage, `1/${total}${label}`);
    } catch (error) {
      throw placed(error, this.#options.path, stage.line);
    }
    state = await this.#triggers(state, stage, `1/${total}${label}`, context);
    let done = 1;
    for (const instruction of stage.instructions) {
      if (isStep(instruction)) done += 1;
      state = await carryOut(state, instruction, `${done}/${total}${label}`, context);
    }
    return state;
  }

  async #begin(stage: PlannedStage, name: string): Promise<StageState> {
    const { from, platform } = stage;
    if (from.kind === "scratch") return scratchState(platform);
    if (from.kind === "stage") return childState(await this.#wait(stage.index, from.index));
    return this.#step({ name, text: `FROM ${from.name}` }, async (step) => {
      const state = await this.#image(from.name, platform);
      step.cached();
      return state;
    });
  }

  /** What the base wants done first, in its order; it wants it once. @see Dockerfile reference, "ONBUILD" */
  async #triggers(state: StageState, stage: PlannedStage, name: string, context: StageContext): Promise<StageState> {
    const wanted = state.image.config.OnBuild ?? [];
    if (wanted.length === 0) return state;
    const { OnBuild: _, ...config } = state.image.config;
    let now: StageState = { ...state, image: { ...state.image, config } };
    const read = readTriggers(wanted, this.#parsed.escape, stage.line, this.#options.path);
    for (const [i, instruction] of read.entries())
      now = await carryOut(now, instruction, `${name}, trigger ${i + 1}`, context);
    return withConfig(now, {});
  }

  #contextOf(stage: PlannedStage): StageContext {
    const { path: file, store, cache, epoch, signal, secrets, buildArgs, report, projectDir, recorder } = this.#options;
    return {
      recorder,
      record: recorder?.stage(stage.index),
      file,
      store,
      cache,
      epoch,
      signal,
      secrets,
      buildArgs,
      escape: this.#parsed.escape,
      globals: this.#plan.globals,
      project: this.#project,
      projectDir,
      isPublished: this.#published.has(stage.index),
      layersOf: (name) => this.#layersOf(name, stage),
      note: (text) => report({ kind: "note", text }),
      step: this.#step,
      run: async (state, { request }, step) => {
        if (state.platform !== machinePlatform())
          throw dockerfileError(file, [foreignRun(stage.line, state.platform, machinePlatform())]);
        const runner = await this.#options.steps?.();
        if (runner === undefined)
          throw new OperatorError("MACHINE_LACKS", "Cannot run a step: nothing here runs programs", {
            hint: "build with `bronze build`",
          });
        return runner.run(request, { blobs: store, signal, output: step.output });
      },
    };
  }

  async #layersOf(name: string, stage: PlannedStage): Promise<readonly StepLayer[]> {
    const source = sourceNamed(name, this.#plan.stages, stage.index);
    if (source.kind === "scratch") return [];
    if (source.kind === "image") return imageLayers(await this.#image(source.name, stage.platform));
    return imageLayers(await withFolders(await this.#wait(stage.index, source.index), this.#options));
  }

  #image(name: string, platform: string): Promise<StageState> {
    const key = `${platform} ${name}`;
    const known =
      this.#images.get(key) ??
      imageState(name, platform, this.#options).catch((thrown: unknown) => {
        throw withNearest(thrown, name, ["scratch", ...this.#plan.stages.flatMap((stage) => stage.name ?? [])]);
      });
    this.#images.set(key, known);
    return known;
  }

  /** Waits for another stage, unless that one waits for this one. */
  async #wait(own: number, other: number): Promise<StageState> {
    for (let at: number | undefined = other; at !== undefined; at = this.#waiting.get(at)) {
      if (at !== own) continue;
      const line = this.#plan.stages[own]?.line ?? 1;
      throw invalid(this.#options.path, line, "stages need each other in a circle, by a trigger of the base");
    }
    this.#waiting.set(own, other);
    try {
      return await this.stage(other);
    } finally {
      this.#waiting.delete(own);
    }
  }
}

/** An image that cannot be had may have been meant to be a stage. */
function withNearest(thrown: unknown, name: string, stages: readonly string[]): unknown {
  const near = nearestName(name, stages);
  if (near === undefined || !(thrown instanceof OperatorError)) return thrown;
  const { code, message, hint, cause, details } = thrown;
  return new OperatorError(code, message, { hint: `did you mean ${near}? Else ${hint}`, cause, details });
}

/** The text of a Dockerfile. @throws {OperatorError} `DEFINITION_INVALID` */
export async function readDockerfile(projectDir: string, file: string): Promise<string> {
  try {
    const location = join(projectDir, file);
    const stats = await stat(location);
    if (!stats.isFile()) throw new Error(stats.isDirectory() ? "it is a folder" : "it is no regular file");
    if (stats.size > mostBytes) throw invalid(file, 1, "it is larger than 1 MiB");
    return await readFile(location, "utf8");
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError("DEFINITION_INVALID", `Cannot read the Dockerfile "${file}"`, {
      hint: "correct build.dockerfile in bronze.yaml",
      cause,
    });
  }
}
