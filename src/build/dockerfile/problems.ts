import { OperatorError } from "../../errors/operator-error.ts";
import { printableLine } from "../../errors/redact.ts";

/** One thing wrong with a Dockerfile, and where. */
export interface DockerfileProblem {
  /** From 1. */
  readonly line: number;
  /** `unsupported`: Docker would build it. */
  readonly kind: "invalid" | "unsupported";
  readonly message: string;
  /** What to do instead. */
  readonly hint?: string;
}

/** Thrown where one instruction cannot be understood; whoever reads a file collects them. */
export class InstructionProblem extends Error {
  readonly kind: DockerfileProblem["kind"];
  readonly hint: string | undefined;

  constructor(message: string, kind: DockerfileProblem["kind"] = "invalid", hint?: string) {
    super(message);
    this.kind = kind;
    this.hint = hint;
  }
}

const mostShown = 50;

/** The error that names all problems of a file, each with its line. @param file its name */
export function dockerfileError(file: string, problems: readonly DockerfileProblem[]): OperatorError {
  const sorted = problems.toSorted((a, b) => a.line - b.line);
  const code = sorted.every(({ kind }) => kind === "unsupported") ? "NOT_YET_SUPPORTED" : "DEFINITION_INVALID";
  const sentences = sorted.map(({ kind, message }) =>
    printableLine(kind === "unsupported" ? `${message} is not supported` : message),
  );
  const [first] = sorted;
  const details = { problems: sorted.slice(0, mostShown) };
  if (first !== undefined && sorted.length === 1) {
    return new OperatorError(code, `Cannot build from ${file}, line ${first.line}: ${sentences[0]}`, {
      hint: first.hint ?? "correct the line and build again",
      details: { file, line: first.line, ...details },
    });
  }
  const lines = sorted.slice(0, mostShown).map(({ line, hint }, index) => {
    return `line ${line}: ${sentences[index]}${hint === undefined ? "" : ` (${printableLine(hint)})`}`;
  });
  if (sorted.length > mostShown) lines.push(`… and ${sorted.length - mostShown} more`);
  return new OperatorError(code, `Cannot build from ${file}: ${sorted.length} problems`, {
    hint: "correct the lines that are named and build again",
    cause: new Error(lines.join("\n")),
    details: { file, ...details },
  });
}

/** The same for one place. */
export function invalid(file: string, line: number, message: string, hint?: string): OperatorError {
  return dockerfileError(file, [{ line, kind: "invalid", message, ...(hint === undefined ? {} : { hint }) }]);
}
