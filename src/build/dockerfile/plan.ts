import { nearestName } from "../../model/nearest.ts";
import { parsePlatform } from "../../image/reference.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { globalVariables } from "./arguments.ts";
import type { Instruction } from "./instruction.ts";
import { readMount } from "./mounts.ts";
import { asProblem, type ParsedDockerfile } from "./parse.ts";
import { dockerfileError, InstructionProblem, type DockerfileProblem } from "./problems.ts";
import { expandText } from "./words.ts";

/** Where a stage or a COPY begins: a stage of the file by its number, an image, or nothing. */
export type PlannedSource =
  | { readonly kind: "stage"; readonly index: number }
  | { readonly kind: "image"; readonly name: string }
  | { readonly kind: "scratch" };

export interface PlannedStage {
  /** Position in the file, from 0. */
  readonly index: number;
  readonly name: string | null;
  /** Its name where no other stage has it, else its number: unique in the file. */
  readonly label: string;
  /** The line of its FROM. */
  readonly line: number;
  readonly from: PlannedSource;
  /** `linux/amd64`. */
  readonly platform: string;
  readonly instructions: readonly Instruction[];
}

/** What is to be done for one target of a Dockerfile. */
export interface DockerfilePlan {
  /** All stages of the file, in its order. */
  readonly stages: readonly PlannedStage[];
  /** Those that the target needs, the target among them. */
  readonly needed: ReadonlySet<number>;
  readonly target: number;
  /** ARG before the first FROM, and what every build knows, for `ARG NAME` in a stage. */
  readonly globals: ReadonlyMap<string, string>;
}

export interface PlanOptions {
  /** The file's name, for messages. */
  readonly file: string;
  /** A stage's name or number; null: the last one. */
  readonly target: string | null;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Of the machine. */
  readonly platform: string;
}

/**
 * Decides which stages are needed and what each of them begins with.
 *
 * @throws {OperatorError} `DEFINITION_INVALID` naming lines; `NOT_FOUND` for a target that is not there
 */
export function planDockerfile(parsed: ParsedDockerfile, options: PlanOptions): DockerfilePlan {
  const problems: DockerfileProblem[] = [];
  const attempt = <T>(line: number, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof InstructionProblem) && !(error instanceof SyntaxError)) throw error;
      problems.push(asProblem(error, line));
      return undefined;
    }
  };
  const globals = globalVariables(parsed, options, (line, work) => attempt(line, work));
  const byName = new Map<string, number>();
  const names = new Map<string, number>();
  for (const { from } of parsed.stages) if (from.name !== null) names.set(from.name, (names.get(from.name) ?? 0) + 1);
  const stages: PlannedStage[] = [];
  for (const [index, { from, instructions }] of parsed.stages.entries()) {
    const expand = (text: string): string => expandText(text, globals, { escape: parsed.escape });
    const base = attempt(from.line, () => {
      const name = expand(from.base);
      if (name !== "") return name;
      throw new InstructionProblem(`FROM ${from.base} names nothing: the variable is empty`);
    });
    const before = byName.get((base ?? "").toLowerCase());
    const asked = from.platform === null ? null : attempt(from.line, () => expand(from.platform ?? ""));
    const platform =
      asked === null || asked === undefined || asked === ""
        ? before === undefined
          ? options.platform
          : (stages[before]?.platform ?? options.platform)
        : attempt(from.line, () => platformOf(asked));
    stages.push({
      index,
      name: from.name,
      label: from.name === null || names.get(from.name) !== 1 ? `stage ${index}` : from.name,
      line: from.line,
      from:
        before !== undefined
          ? { kind: "stage", index: before }
          : base === "scratch"
            ? { kind: "scratch" }
            : { kind: "image", name: base ?? "" },
      platform: platform ?? options.platform,
      instructions,
    });
    if (from.name !== null) byName.set(from.name, index);
  }
  if (problems.length > 0) throw dockerfileError(options.file, problems);
  const target = findTarget(options.target, stages, options.file);
  const needed = findNeeded(
    target,
    stages,
    (stage, instruction) =>
      attempt(instruction.line, () =>
        sourcesOf(instruction).flatMap((name) => {
          const source = sourceNamed(name, stages, stage.index);
          return source.kind === "stage" ? [{ index: source.index, line: instruction.line }] : [];
        }),
      ) ?? [],
    (line, message) => problems.push({ line, kind: "invalid", message }),
  );
  for (const index of needed) {
    const stage = stages[index];
    if (stage === undefined || stage.platform === options.platform) continue;
    const run = stage.instructions.find(({ kind }) => kind === "run");
    if (run !== undefined) problems.push(foreignRun(run.line, stage.platform, options.platform));
  }
  if (problems.length > 0) throw dockerfileError(options.file, problems);
  return { stages, needed, target, globals };
}

/**
 * What `--from=NAME` means: a stage's name, else its number, else an image.
 *
 * @param own the stage in which it stands, which cannot be meant
 * @throws {InstructionProblem}
 */
export function sourceNamed(name: string, stages: readonly PlannedStage[], own: number): PlannedSource {
  const index = /^[0-9]{1,6}$/.test(name)
    ? Number(name)
    : (stages.findLast((stage) => stage.name === name.toLowerCase())?.index ?? -1);
  if (index < 0) {
    const near = nearestName(
      name,
      stages.flatMap((stage) => stage.name ?? []),
    );
    if (near !== undefined && near !== name && !/[/:@.]/.test(name))
      throw new InstructionProblem(
        `there is no stage "${name.slice(0, 80)}", did you mean "${near}"?`,
        "invalid",
        `for an image of that name write ${name}:latest`,
      );
    return name === "scratch" ? { kind: "scratch" } : { kind: "image", name };
  }
  if (index === own) throw new InstructionProblem(`--from=${name} is the stage in which it stands`);
  if (index >= stages.length)
    throw new InstructionProblem(`--from=${name}: there are ${stages.length} stages, the first is 0`);
  return { kind: "stage", index };
}

/** Every image of others that stages begin with or take files from, each once. */
export function imagesOf(
  plan: DockerfilePlan,
  stages: readonly PlannedStage[] = plan.stages,
): readonly { readonly name: string; readonly platform: string }[] {
  const images = new Map<string, { readonly name: string; readonly platform: string }>();
  for (const stage of stages) {
    const copied = stage.instructions.flatMap(sourcesOf).map((name) => sourceNamed(name, plan.stages, stage.index));
    for (const source of [stage.from, ...copied])
      if (source.kind === "image")
        images.set(`${stage.platform} ${source.name}`, { name: source.name, platform: stage.platform });
  }
  return [...images.values()];
}

/** Names of stages or images that an instruction takes files from. */
export function sourcesOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === "copy") return instruction.from === null ? [] : [instruction.from];
  if (instruction.kind !== "run") return [];
  return instruction.mounts.flatMap((mount) => {
    // Other keys may hold variables whose values are not known yet; `from` takes none.
    const read = /(^|,)from=/.test(mount) ? readMount(mount, (value) => value.replace(/\$.*/s, "0")) : undefined;
    return read?.kind === "bind" && read.from !== null ? [read.from] : [];
  });
}

/** Why a program of another platform is not run. @param line of the RUN */
export function foreignRun(line: number, platform: string, own: string): DockerfileProblem {
  return {
    line,
    kind: "unsupported",
    message: `RUN in a stage for ${platform}`,
    hint: `this machine runs programs for ${own} only: leave --platform out, or cross-compile in a stage FROM --platform=$BUILDPLATFORM`,
  };
}

function platformOf(text: string): string {
  try {
    const platform = parsePlatform(text.includes("/") ? text : text === "linux" ? "linux/amd64" : `linux/${text}`);
    if (platform.startsWith("linux/")) return platform;
    throw new InstructionProblem(`FROM --platform=${text}`, "unsupported", "images are for linux here");
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    throw new InstructionProblem(`--platform=${text.slice(0, 80)} is no platform`, "invalid", error.hint);
  }
}

function findTarget(wanted: string | null, stages: readonly PlannedStage[], file: string): number {
  if (wanted === null) return stages.length - 1;
  const named = stages.findLast((stage) => stage.name === wanted.toLowerCase())?.index;
  const index = named ?? (/^[0-9]{1,6}$/.test(wanted) ? Number(wanted) : -1);
  if (index >= 0 && index < stages.length) return index;
  const names = stages.flatMap(({ name }) => name ?? []);
  throw new OperatorError("NOT_FOUND", `Cannot build the stage "${wanted.slice(0, 80)}" of ${file}: there is none`, {
    hint:
      names.length === 0
        ? `its stages have no names, only numbers from 0 to ${stages.length - 1}`
        : `there are ${names.join(", ")}`,
  });
}

interface Needs {
  readonly index: number;
  readonly line: number;
}

/** Every stage that is needed, looked for without recursion: a file may chain thousands. */
function findNeeded(
  target: number,
  stages: readonly PlannedStage[],
  copies: (stage: PlannedStage, instruction: Instruction) => readonly Needs[],
  problem: (line: number, message: string) => void,
): ReadonlySet<number> {
  const needed = new Set<number>();
  const open = new Set<number>();
  const path: { readonly index: number; readonly left: Needs[] }[] = [];
  const enter = (index: number): void => {
    const stage = stages[index];
    if (stage === undefined) return;
    needed.add(index);
    open.add(index);
    const from = stage.from.kind === "stage" ? [{ index: stage.from.index, line: stage.line }] : [];
    path.push({ index, left: [...from, ...stage.instructions.flatMap((instruction) => copies(stage, instruction))] });
  };
  enter(target);
  for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
    const next = last.left.shift();
    if (next === undefined) {
      open.delete(last.index);
      path.pop();
    } else if (open.has(next.index)) {
      const circle = path
        .slice(path.findIndex(({ index }) => index === next.index))
        .map(({ index }) => stages[index]?.label ?? String(index));
      problem(next.line, `stages need each other in a circle: ${[...circle, circle[0]].join(" → ")}`);
    } else if (!needed.has(next.index)) enter(next.index);
  }
  return needed;
}

/** The stages whose layers are the target's: itself, and those that it is built from. */
export function publishedStages({ stages, target }: DockerfilePlan): ReadonlySet<number> {
  const found = new Set<number>();
  for (let at = stages[target]; at !== undefined && !found.has(at.index);) {
    found.add(at.index);
    at = at.from.kind === "stage" ? stages[at.from.index] : undefined;
  }
  return found;
}
