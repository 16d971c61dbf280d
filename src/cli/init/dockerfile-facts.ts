import { applyConfig, type ConfigInstruction } from "../../build/dockerfile/config.ts";
import type { Instruction } from "../../build/dockerfile/instruction.ts";
import { asProblem, parseDockerfile } from "../../build/dockerfile/parse.ts";
import { planDockerfile, type DockerfilePlan, type PlannedStage } from "../../build/dockerfile/plan.ts";
import { dockerfileError, InstructionProblem } from "../../build/dockerfile/problems.ts";
import { variablesOf, type StageState } from "../../build/dockerfile/stage-state.ts";
import { emptyImage } from "../../build/image-state.ts";
import type { ContainerConfig } from "../../image/oci.ts";
import { OperatorError } from "../../errors/operator-error.ts";

/** What a Dockerfile says about the image of its target, but for what its base says. */
export interface DockerfileFacts {
  readonly config: ContainerConfig;
  /** Instructions of the target's stage and of those below it, in the order in which they are carried out. */
  readonly instructions: readonly Instruction[];
  /** Why it cannot be built, in words; null: it can, for all that is known. */
  readonly problem: string | null;
}

/** Any: nothing is built. */
const platform = "linux/amd64";

/** @param args of the build @param target a stage; null: the last one */
export function readDockerfile(
  text: string,
  file: string,
  target: string | null,
  args: Readonly<Record<string, string>>,
): DockerfileFacts {
  const buildArgs = new Map(Object.entries(args));
  try {
    const parsed = parseDockerfile(text, file);
    const plan = planDockerfile(parsed, { file, target, buildArgs, platform });
    const stages = chainOf(plan);
    let config: ContainerConfig = {};
    for (const stage of stages) config = configOf(stage, config, plan, { escape: parsed.escape, buildArgs, file });
    return { config, instructions: stages.flatMap(({ instructions }) => instructions), problem: null };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const more = error.cause instanceof Error ? `: ${error.cause.message.replaceAll("\n", "; ")}` : "";
    return { config: {}, instructions: [], problem: `${error.message}${more}` };
  }
}

/** The target's stage behind those that it is built on. */
function chainOf({ stages, target }: DockerfilePlan): readonly PlannedStage[] {
  const chain: PlannedStage[] = [];
  for (let next = stages[target]; next !== undefined && !chain.includes(next);) {
    chain.unshift(next);
    next = next.from.kind === "stage" ? stages[next.from.index] : undefined;
  }
  return chain;
}

function configOf(
  stage: PlannedStage,
  below: ContainerConfig,
  { globals }: DockerfilePlan,
  context: { readonly escape: string; readonly buildArgs: ReadonlyMap<string, string>; readonly file: string },
): ContainerConfig {
  let state: StageState = {
    image: { ...emptyImage("amd64"), config: below },
    platform,
    root: [],
    variables: variablesOf(below),
    args: [],
    folders: [],
    commandSet: false,
  };
  for (const instruction of stage.instructions) {
    if (!changesNoFiles(instruction)) continue;
    try {
      state = applyConfig(state, instruction, { ...context, globals, epoch: 0 });
    } catch (error) {
      if (!(error instanceof InstructionProblem) && !(error instanceof SyntaxError)) throw error;
      throw dockerfileError(context.file, [asProblem(error, instruction.line)]);
    }
  }
  return state.image.config;
}

function changesNoFiles(instruction: Instruction): instruction is ConfigInstruction {
  return instruction.kind !== "run" && instruction.kind !== "copy" && instruction.kind !== "add";
}
