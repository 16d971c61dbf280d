import type { ErrorCode } from "../../errors/codes.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { StepResult } from "../../ports/step-runner.ts";
import { applyConfig, type ConfigContext } from "./config.ts";
import { carryOutCopy, type CopyContext } from "./copy-step.ts";
import { makeFileLayer, placeFolders, treeBelow, type LayerPlace } from "./file-layer.ts";
import type { CopyInstruction, Instruction, RunInstruction } from "./instruction.ts";
import { asProblem } from "./parse.ts";
import { sourcesOf } from "./plan.ts";
import { dockerfileError, InstructionProblem } from "./problems.ts";
import type { RunFact, StepFact } from "../evidence/recorder.ts";
import { canonicalJson, sha256 } from "../../model/canonical.ts";
import { prepareRun, runOrRecall, type RunContext } from "./run.ts";
import { withHistory, type StageState } from "./stage-state.ts";
import type { StepReport, StepWork } from "./steps.ts";

/** What the instructions of a stage are carried out with. */
export interface StageContext extends CopyContext, ConfigContext {
  /** The Dockerfile's name, for messages. */
  readonly file: string;
  readonly secrets: RunContext["secrets"];
  /** Takes down what was done. */
  readonly record?: ((fact: StepFact) => void) | undefined;
  readonly step: <T>(report: StepReport, work: (step: StepWork) => Promise<T>) => Promise<T>;
  readonly run: (
    request: Parameters<typeof prepareRun>[0],
    prepared: PreparedStep,
    step: StepWork,
  ) => Promise<StepResult>;
}

export type PreparedStep = Awaited<ReturnType<typeof prepareRun>>;

/** Whether an instruction is shown as a step: others take no time. */
export function isStep(instruction: Instruction): instruction is Instruction & (CopyInstruction | RunInstruction) {
  return instruction.kind === "run" || instruction.kind === "copy" || instruction.kind === "add";
}

/**
 * Carries out one instruction.
 *
 * @param name of its step
 * @throws {OperatorError} naming file and line
 */
export async function carryOut(
  state: StageState,
  instruction: Instruction,
  name: string,
  context: StageContext,
): Promise<StageState> {
  context.signal.throwIfAborted();
  try {
    if (!isStep(instruction)) return applyConfig(state, instruction, context);
    // Whoever waits for another stage is not at work yet, and takes nobody's place.
    for (const source of sourcesOf(instruction)) await context.layersOf(source);
    return await context.step({ name, text: instruction.text }, (step) =>
      instruction.kind === "run" ? run(state, instruction, context, step) : copy(state, instruction, context, step),
    );
  } catch (error) {
    throw placed(error, context.file, instruction.line);
  }
}

async function copy(
  state: StageState,
  instruction: CopyInstruction & Pick<Instruction, "text">,
  context: StageContext,
  step: StepWork,
): Promise<StageState> {
  const { layer, cached, history, downloads } = await step.busy(() => carryOutCopy(state, instruction, context));
  if (cached) step.cached();
  context.record?.({ name: step.name, text: instruction.text, layer, downloads });
  // With --link the folders of WORKDIR are still to be made: the layer stands for itself.
  const folders = instruction.link ? state.folders : [];
  return withHistory({ ...state, folders }, history, context.epoch, layer);
}

async function run(
  before: StageState,
  instruction: RunInstruction & Pick<Instruction, "text">,
  context: StageContext,
  step: StepWork,
): Promise<StageState> {
  const state = await withFolders(before, context);
  const prepared = await prepareRun(state, instruction, context);
  const { result, cached } = await runOrRecall(prepared.key, { cache: context.cache, blobs: context.store }, () =>
    step.busy(() => context.run(state, prepared, step)),
  );
  if (cached) step.cached();
  else step.network(result.network);
  context.record?.({
    name: step.name,
    text: instruction.text,
    layer: result.layer,
    run: runFact(prepared, result, cached),
  });
  const after = withHistory(state, prepared.history, context.epoch, result.layer);
  return result.aside === null ? after : { ...after, root: [...after.root, result.aside] };
}

function runFact({ request, key, secrets }: PreparedStep, { aside, network }: StepResult, cached: boolean): RunFact {
  return {
    key: sha256(canonicalJson(key)),
    network: request.network,
    usedNetwork: network.sentPackets + network.receivedBytes > 0,
    aside,
    secrets,
    below: request.layers.map(({ diffId }) => diffId),
    cached,
  };
}

/** The stage with the folders that WORKDIR wants, where they are not there. */
export async function withFolders(state: StageState, context: LayerPlace): Promise<StageState> {
  if (state.folders.length === 0) return state;
  const base = await treeBelow(state, context);
  const { layer } = await makeFileLayer(base, context, (placement) => placeFolders(state, base, placement, context));
  if (layer === null) return { ...state, folders: [] };
  const { image } = state;
  // The line of history that WORKDIR left becomes the layer's.
  const at = image.history.findLastIndex(({ created_by: by }) => by?.startsWith("WORKDIR ") === true);
  const history = image.history.map((entry, i) => {
    if (i !== at) return entry;
    const { empty_layer: _, ...rest } = entry;
    return rest;
  });
  return {
    ...state,
    folders: [],
    root: [...state.root, layer],
    image: {
      ...image,
      layers: [...image.layers, layer.descriptor],
      diffIds: [...image.diffIds, layer.diffId],
      history,
    },
  };
}

/** Errors that get file and line added. */
const placedCodes: ReadonlySet<ErrorCode> = new Set([
  "BUILD_FAILED",
  "NOT_FOUND",
  "ARGUMENT_INVALID",
  "REGISTRY_FAILED",
  "VERIFICATION_FAILED",
  "MACHINE_LACKS",
]);

/** What was thrown, with the line that asked for it. */
export function placed(error: unknown, file: string, line: number): unknown {
  if (error instanceof InstructionProblem || error instanceof SyntaxError)
    return dockerfileError(file, [asProblem(error, line)]);
  if (!(error instanceof OperatorError) || !placedCodes.has(error.code)) return error;
  const details = typeof error.details === "object" && error.details !== null ? error.details : {};
  if ("line" in details) return error;
  return new OperatorError(error.code, `${error.message} (${file}, line ${line})`, {
    hint: error.hint,
    cause: error.cause,
    details: { ...details, file, line },
  });
}
