import { DockerfileParser } from "dockerfile-ast";
import { OperatorError } from "../../errors/operator-error.ts";

export interface Instruction {
  /** First line of it in the file, from 1. */
  readonly line: number;
  /** In capitals. */
  readonly keyword: string;
  /** `--name=value` before the arguments. */
  readonly flags: readonly { readonly name: string; readonly value: string }[];
  /** The arguments where they are a JSON list of texts, else null. */
  readonly list: readonly string[] | null;
  /** The arguments as one line, comments and continuations taken out. */
  readonly text: string;
}

export interface ParsedDockerfile {
  readonly instructions: readonly Instruction[];
  readonly escape: string;
}

const waysOut: { readonly [keyword: string]: string } = {
  RUN: "run it before the build and COPY the result, use a debian: recipe for packages, or build elsewhere and use build: { image: PATH }",
  ADD: "use COPY; fetch or unpack archives before the build",
  ONBUILD: "write the instruction where it is to take effect",
  VOLUME: "leave it out; declare writable places as tmpfs in bronze.yaml",
  HEALTHCHECK: "leave it out; use health.path in bronze.yaml",
  SHELL: 'write CMD and ENTRYPOINT as lists: CMD ["node", "server.js"]',
  MAINTAINER: "use LABEL org.opencontainers.image.authors=…",
};

const supported = new Set([
  "FROM",
  "COPY",
  "ENV",
  "ARG",
  "WORKDIR",
  "USER",
  "EXPOSE",
  "CMD",
  "ENTRYPOINT",
  "LABEL",
  "STOPSIGNAL",
]);
const knownFlags: { readonly [keyword: string]: readonly string[] } = { COPY: ["chown", "chmod"], FROM: [] };

/**
 * Takes a Dockerfile apart.
 *
 * @param file its name, for messages
 * @throws {OperatorError} `NOT_YET_SUPPORTED` with line and way out, `DEFINITION_INVALID` where it is no Dockerfile
 * @see Dockerfile reference, docs.docker.com
 */
export function parseDockerfile(text: string, file: string): ParsedDockerfile {
  const document = DockerfileParser.parse(text);
  const escape = document.getEscapeCharacter();
  const lines = text.split(/\r?\n/);
  const instructions = document.getInstructions().map((parsed): Instruction => {
    const { start, end } = parsed.getRange();
    const line = start.line + 1;
    const keyword = parsed.getKeyword();
    const whole = lines.slice(start.line, end.line + 1);
    const body = joinLines([(whole[0] ?? "").trimStart().slice(keyword.length), ...whole.slice(1)], escape);
    if (!supported.has(keyword))
      throw notYet(file, line, keyword, waysOut[keyword] ?? "see the Dockerfile reference for instructions that exist");
    if (keyword === "COPY" && /(^|\s)<<-?["']?[A-Za-z_]/.test(body))
      throw notYet(file, line, "COPY with a here-document", "put the text into a file of the project and COPY that");
    const { flags, rest } = takeFlags(body);
    for (const { name } of flags) {
      if (knownFlags[keyword]?.includes(name) === true) continue;
      const way =
        name === "from"
          ? "build the stages one by one and use the last as FROM, or build elsewhere and use build: { image: PATH }"
          : "leave it out";
      throw notYet(file, line, `${keyword} --${name}`, way);
    }
    if (rest === "") throw invalid(file, line, `${keyword} says nothing`);
    return { line, keyword, flags, list: parseList(rest), text: rest };
  });
  const froms = instructions.filter(({ keyword }) => keyword === "FROM");
  const second = froms[1];
  if (second !== undefined)
    throw notYet(
      file,
      second.line,
      "a second FROM (several stages)",
      "build the stages one by one, or build elsewhere and use build: { image: PATH }",
    );
  if (instructions.find(({ keyword }) => keyword !== "ARG")?.keyword !== "FROM")
    throw invalid(file, instructions[0]?.line ?? 1, "it does not begin with FROM");
  return { instructions, escape };
}

export function notYet(file: string, line: number, what: string, way: string): OperatorError {
  return new OperatorError(
    "NOT_YET_SUPPORTED",
    `Cannot build from ${file}, line ${line}: ${what} is not supported yet`,
    { hint: way, details: { file, line } },
  );
}

export function invalid(file: string, line: number, state: string): OperatorError {
  return new OperatorError("DEFINITION_INVALID", `Cannot build from ${file}, line ${line}: ${state}`, {
    hint: "correct the line and build again",
    details: { file, line },
  });
}

function joinLines(lines: readonly string[], escape: string): string {
  const kept = lines.filter((line, index) => index === 0 || !/^\s*(#|$)/.test(line));
  return kept
    .map((line, index) => {
      const trimmed = line.trimEnd();
      return index < kept.length - 1 && trimmed.endsWith(escape) ? trimmed.slice(0, -1) : line;
    })
    .join("")
    .trim();
}

function takeFlags(body: string): { flags: { name: string; value: string }[]; rest: string } {
  const flags: { name: string; value: string }[] = [];
  let rest = body;
  for (;;) {
    const match = /^--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)/.exec(rest);
    if (match === null) return { flags, rest };
    flags.push({ name: match[1] ?? "", value: match[2] ?? "" });
    rest = rest.slice(match[0].length);
  }
}

function parseList(text: string): readonly string[] | null {
  if (!text.startsWith("[")) return null;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : null;
  } catch {
    // Docker takes what only looks like a list as plain words too.
    return null;
  }
}
