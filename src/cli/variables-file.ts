import { readFileSync, statSync } from "node:fs";
import { OperatorError } from "../errors/operator-error.ts";
import { configNameProblem, configSizeProblem, configValueProblem, type ConfigOverrides } from "../model/config.ts";
import { parseDotenv } from "../model/dotenv.ts";

/** More than the most config there may be, with its comments, in bytes. */
const mostFileBytes = 1024 * 1024;
/** Problems that are told of one file. */
const mostProblems = 20;

/**
 * Variables of a dotenv file, or of a JSON object of texts, numbers, booleans and nulls.
 *
 * @param name how problems name the file
 * @throws {OperatorError} `NOT_FOUND`, or `code` with every problem and its line
 */
export function readVariables(
  path: string,
  name: string,
  code: "DEFINITION_INVALID" | "ARGUMENT_INVALID",
): ConfigOverrides {
  const text = readText(path, name, code);
  const { variables, problems } = /^\s*\{/.test(text) ? fromJson(text) : fromDotenv(text);
  const size = problems.length === 0 ? configSizeProblem(variables) : undefined;
  const all = size === undefined ? problems : [size];
  if (all.length === 0) return variables;
  const told = all.slice(0, mostProblems).map((problem) => `${name}:${problem}`);
  throw new OperatorError(
    code,
    `Cannot use the variables of "${name}": ${all.length === 1 ? "1 problem" : `${all.length} problems`}`,
    {
      hint: "write NAME=value lines as in a dotenv file, or a JSON object of texts",
      cause: new Error(told.join("\n")),
      details: { problems: told },
    },
  );
}

interface Variables {
  readonly variables: ConfigOverrides;
  readonly problems: readonly string[];
}

function fromDotenv(text: string): Variables {
  const { entries, problems } = parseDotenv(text);
  const told = problems.map(({ line, message }) => ({ line, text: `${line}: ${message}` }));
  const seen = new Map<string, number>();
  for (const { name, value, line } of entries) {
    const problem = configNameProblem(name) ?? configValueProblem(value);
    if (problem !== undefined) told.push({ line, text: `${line}: ${name.slice(0, 80)} ${problem}` });
    else if (seen.has(name)) told.push({ line, text: `${line}: ${name} stands on line ${seen.get(name)} already` });
    else seen.set(name, line);
  }
  return {
    variables: Object.fromEntries(entries.map(({ name, value }) => [name, value])),
    problems: told.sort((a, b) => a.line - b.line).map((one) => one.text),
  };
}

function fromJson(text: string): Variables {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { variables: {}, problems: [" is not JSON, though it begins with {"] };
  }
  const problems: string[] = [];
  const variables = Object.entries(parsed as Readonly<Record<string, unknown>>).flatMap(([name, value]) => {
    const plain = plainText(value);
    const problem =
      configNameProblem(name) ??
      (plain === undefined ? "is neither a text nor null" : plain === null ? undefined : configValueProblem(plain));
    if (problem !== undefined) problems.push(` ${name.slice(0, 80)} ${problem}`);
    return plain === undefined || problem !== undefined ? [] : [[name, plain] as const];
  });
  return { variables: Object.fromEntries(variables), problems };
}

function plainText(value: unknown): string | null | undefined {
  if (value === null || typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function readText(path: string, name: string, code: "DEFINITION_INVALID" | "ARGUMENT_INVALID"): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  // What a definition names and is not there is the definition's fault.
  if (stats === undefined)
    throw new OperatorError(
      code === "DEFINITION_INVALID" ? code : "NOT_FOUND",
      `Cannot read variables from "${name}": there is no such file`,
      {
        hint: "write NAME=value lines into it, or name another file",
      },
    );
  const reason = !stats.isFile()
    ? "it is no regular file"
    : stats.size > mostFileBytes
      ? `it has ${stats.size} bytes, at most ${mostFileBytes} taken`
      : undefined;
  if (reason !== undefined)
    throw new OperatorError(code, `Cannot read variables from "${name}": ${reason}`, { hint: "name another file" });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw new OperatorError(code, `Cannot read variables from "${name}"`, {
      hint: "make it a readable file in UTF-8",
      cause,
    });
  }
}
