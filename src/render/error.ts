import { causeText, type OperatorError } from "../errors/operator-error.ts";
import { printable, printableLine } from "../errors/redact.ts";
import type { Paint } from "./paint.ts";

/** An error as people read it: what failed, the cause, what to do. Longer causes are indented below each other. */
export function renderError(error: OperatorError, paint: Paint): string {
  const lines = [`${paint.bad(`error[${error.code}]`)}: ${printableLine(error.message)}`];
  const cause = causeText(error.cause);
  if (cause !== undefined && cause !== error.message) lines.push(`cause: ${indented(cause)}`);
  lines.push(`hint:  ${indented(printable(error.hint))}`);
  return lines.join("\n");
}

function indented(text: string): string {
  return text.trim().split("\n").join("\n       ");
}
