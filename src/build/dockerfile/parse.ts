import type { Instruction, StageStart } from "./instruction.ts";
import { dockerfileError, InstructionProblem, type DockerfileProblem } from "./problems.ts";
import { readInstruction } from "./read-instruction.ts";
import { readSourceText, type TextProblem } from "./source-text.ts";

/** What is written between one FROM and the next. */
export interface StageText {
  readonly from: StageStart;
  readonly instructions: readonly Instruction[];
}

export type GlobalArgument = Extract<Instruction, { readonly kind: "arg" }>;

/** A Dockerfile, understood instruction by instruction. */
export interface ParsedDockerfile {
  /** ARG before the first FROM. */
  readonly globals: readonly GlobalArgument[];
  readonly stages: readonly StageText[];
  readonly escape: string;
  /** The frontend that `# syntax=` asks for. */
  readonly syntax: string | null;
  readonly warnings: readonly TextProblem[];
}

/**
 * Takes a Dockerfile apart.
 *
 * @param file its name, for messages
 * @throws {OperatorError} `DEFINITION_INVALID` where it is no Dockerfile, `NOT_YET_SUPPORTED` where only Docker would
 * build it; all problems at once, each with its line
 * @see Dockerfile reference, docs.docker.com
 */
export function parseDockerfile(text: string, file: string): ParsedDockerfile {
  const source = readSourceText(text);
  const problems: DockerfileProblem[] = source.problems.map((problem) => ({ ...problem, kind: "invalid" }));
  const globals: GlobalArgument[] = [];
  const stages: { from: StageStart; instructions: Instruction[] }[] = [];
  for (const written of source.instructions) {
    try {
      const read = readInstruction(written, source.escape);
      const stage = stages.at(-1);
      if (read.kind === "from") stages.push({ from: read, instructions: [] });
      else if (stage !== undefined) stage.instructions.push(read);
      else if (read.kind === "arg") globals.push(read);
      else throw new InstructionProblem(`${written.keyword} stands before the first FROM`);
    } catch (error) {
      if (!(error instanceof InstructionProblem) && !(error instanceof SyntaxError)) throw error;
      problems.push(asProblem(error, written.line));
    }
  }
  if (stages.length === 0 && problems.length === 0)
    problems.push({ line: 1, kind: "invalid", message: "there is no FROM in it" });
  if (problems.length > 0) throw dockerfileError(file, problems);
  return { globals, stages, escape: source.escape, syntax: source.syntax, warnings: source.warnings };
}

/** What was thrown while a line was read, with the line. */
export function asProblem(error: InstructionProblem | SyntaxError, line: number): DockerfileProblem {
  if (!(error instanceof InstructionProblem)) return { line, kind: "invalid", message: error.message };
  const { message, kind, hint } = error;
  return { line, kind, message, ...(hint === undefined ? {} : { hint }) };
}

/**
 * Understands the triggers that a base image wants carried out.
 *
 * @param line of the FROM that names the image
 * @throws {OperatorError} `DEFINITION_INVALID`, `NOT_YET_SUPPORTED`
 */
export function readTriggers(
  triggers: readonly string[],
  escape: string,
  line: number,
  file: string,
): readonly Instruction[] {
  const problems: DockerfileProblem[] = [];
  const read = triggers.flatMap((trigger) => {
    try {
      // A trigger has no directives of its own: where the file has another escape character, so have they.
      const directive = escape === "\\" ? "" : `# escape=${escape}\n`;
      const source = readSourceText(directive + trigger);
      if (source.problems[0] !== undefined) throw new InstructionProblem(source.problems[0].message);
      return source.instructions.map((written) => {
        const instruction = readInstruction({ ...written, line }, escape);
        if (instruction.kind !== "from" && instruction.kind !== "onbuild") return instruction;
        throw new InstructionProblem(`${written.keyword} cannot be a trigger of ONBUILD`);
      });
    } catch (error) {
      if (!(error instanceof InstructionProblem) && !(error instanceof SyntaxError)) throw error;
      const problem = asProblem(error, line);
      problems.push({ ...problem, message: `the base's trigger "${trigger.slice(0, 80)}": ${problem.message}` });
      return [];
    }
  });
  if (problems.length > 0) throw dockerfileError(file, problems);
  return read;
}
