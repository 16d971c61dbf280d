import { OperatorError } from "../errors/operator-error.ts";

/** One thing wrong with a definition, and where. */
export interface Problem {
  readonly kind: "invalid" | "later";
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `environments.production.strategy`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export function wholeFile(message: string): Problem {
  return { kind: "invalid", line: 1, column: 1, path: "", message };
}

/** Most problems that are printed; all of them are among the error's details up to ten times as many. */
const mostLines = 100;

/**
 * The error that names all problems of a definition at once, each as `file:line:column path: message`.
 * Its code is `NOT_YET_SUPPORTED` when later versions would take the file, else `DEFINITION_INVALID`; both exit 2.
 */
export function definitionError(fileName: string, problems: readonly Problem[]): OperatorError {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const lines = sorted.slice(0, mostLines).map(({ line, column, path, message }) => {
    return `${fileName}:${line}:${column} ${path === "" ? "" : `${path}: `}${message}`;
  });
  if (sorted.length > mostLines) lines.push(`… and ${sorted.length - mostLines} more`);
  const later = problems.every(({ kind }) => kind === "later");
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new OperatorError(
    later ? "NOT_YET_SUPPORTED" : "DEFINITION_INVALID",
    `Cannot use definition "${fileName}": ${count}`,
    {
      hint: later
        ? "take these keys out for now; this version refuses what it would otherwise silently ignore"
        : "correct what is named above; a definition is used as a whole or not at all",
      cause: new Error(lines.join("\n")),
      details: { problems: sorted.slice(0, 10 * mostLines) },
    },
  );
}
