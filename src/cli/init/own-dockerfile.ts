import { type Folder, readText } from "./folder.ts";
import { ignoreLines } from "./ignore-lines.ts";
import { parseCommandLine } from "./command-line.ts";
import type { Plan, Wishes } from "./proposal.ts";
import { defaultPort } from "./source-hints.ts";
import { escapeRegExp } from "./text.ts";

/** What the stage that is built says. */
interface Stage {
  readonly from: string;
  readonly instructions: readonly { readonly keyword: string; readonly text: string; readonly line: number }[];
}

/** A definition for a project that has a Dockerfile of its own. */
export function planDockerfile(folder: Folder, path: string, wishes: Wishes): Plan {
  const stages = readStages(readText(folder, path) ?? "");
  const named =
    wishes.target === null
      ? undefined
      : stages.find((stage) => new RegExp(`\\sAS\\s+${escapeRegExp(wishes.target ?? "")}$`, "i").test(stage.from));
  const chosen = withStagesBelow(named ?? stages.at(-1), stages);
  const last = (keyword: string): Stage["instructions"][number] | undefined =>
    chosen.findLast((one) => one.keyword === keyword);
  const { port, why } = choosePort(path, chosen, wishes);
  const user = last("USER");
  const isRoot = user === undefined || /^(root|0)(:|$)/.test(user.text);
  const start = commandOf(wishes, last("ENTRYPOINT")?.text, port, path);
  return {
    kind: "dockerfile",
    name: null,
    build: { kind: "dockerfile", path, target: wishes.target, args: wishes.args, text: null },
    port,
    command: start.command,
    healthPath: null,
    tmpfs: [],
    ignore: folder.entries.includes(".dockerignore") ? null : ownIgnore(folder, chosen),
    assumed: [
      { what: `built from ${path}`, why: "it is there" },
      { what: `port ${port}`, why },
      ...(wishes.start === null && wishes.entrypoint === null ? [] : start.assumed),
      ...(user === undefined
        ? [
            {
              what: "the user is the one of its base image",
              why: `${path} has no USER; without capabilities root can do little`,
            },
          ]
        : []),
      ...(user !== undefined && isRoot
        ? [{ what: "it runs as root without capabilities", why: `${path} line ${user.line} says so` }]
        : []),
    ],
    notCarriedOver: [
      ...start.notCarriedOver,
      ...(wishes.env.length === 0
        ? []
        : wishes.env.map(({ name, from }) => ({
            what: `environment variable ${name}`,
            where: from,
            advice: `add ENV ${name}=… to ${path}`,
          }))),
      ...chosen
        .filter(({ keyword }) => keyword === "VOLUME")
        .map(({ line }) => ({
          what: "VOLUME",
          where: `${path} line ${line}`,
          advice:
            "an instance's root is read-only and volumes come in a later version; run.tmpfs is writable and forgotten",
        })),
    ],
    todo: [],
  };
}

function choosePort(
  path: string,
  stage: Stage["instructions"],
  wishes: Wishes,
): { readonly port: number; readonly why: string } {
  if (wishes.port !== null) return { port: wishes.port.value, why: `${wishes.port.from} says so` };
  for (const { keyword, text, line } of stage.toReversed()) {
    const port = Number(keyword === "EXPOSE" ? /^([0-9]{1,5})(\/tcp)?(\s|$)/.exec(text)?.[1] : Number.NaN);
    if (port >= 1 && port <= 65_535) return { port, why: `${path} line ${line} exposes it` };
  }
  for (const { keyword, text, line } of stage.toReversed()) {
    const port = Number(keyword === "ENV" ? /\bPORT[= ]"?([0-9]{2,5})\b/.exec(text)?.[1] : Number.NaN);
    if (port >= 1 && port <= 65_535) return { port, why: `${path} line ${line} says PORT` };
  }
  return { port: defaultPort, why: `${path} exposes none; instances are told by PORT` };
}

/** The whole command: `CMD` of another file goes behind the entrypoint of this one. */
function commandOf(
  wishes: Wishes,
  entrypoint: string | undefined,
  port: number,
  path: string,
): Pick<Plan, "command" | "assumed" | "notCarriedOver"> {
  const wish = wishes.start ?? wishes.entrypoint;
  if (wish === null) return { command: null, assumed: [], notCarriedOver: [] };
  const start = wishes.start === null ? [] : wordsOf(wishes.start.line, port);
  const program = wishes.entrypoint === null ? entrypointOf(entrypoint) : wordsOf(wishes.entrypoint.line, port);
  if (program === undefined) {
    const advice = `${path} has an ENTRYPOINT for a shell, which takes no arguments; say the whole command in run.command`;
    return { command: null, assumed: [], notCarriedOver: [{ what: "command", where: wish.from, advice }] };
  }
  const command = [...program, ...start];
  return {
    command,
    assumed: [
      {
        what: `started by ${command.join(" ")}`,
        why:
          program.length > 0 && wishes.entrypoint === null
            ? `${wish.from} says so, behind the ENTRYPOINT of ${path}`
            : `${wish.from} says so`,
      },
    ],
    notCarriedOver: [],
  };
}

function wordsOf(line: string | readonly string[], port: number): readonly string[] {
  if (typeof line !== "string") return line.map((word) => word.replaceAll(/\$\{?PORT\}?/g, String(port)));
  const { words, env, rest } = parseCommandLine(line, port);
  if (words !== null && env.length === 0) return words;
  return ["/bin/sh", "-c", words === null && env.length === 0 ? rest : line];
}

/** The words of an ENTRYPOINT in exec form; none: an empty list; in shell form: undefined. */
function entrypointOf(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((word) => typeof word === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

function readStages(text: string): readonly Stage[] {
  const stages: { from: string; instructions: { keyword: string; text: string; line: number }[] }[] = [];
  const lines = text.split(/\r?\n/);
  for (let i = 0; i < lines.length; i += 1) {
    const line = i + 1;
    let whole = lines[i] ?? "";
    while (whole.endsWith("\\") && i + 1 < lines.length) {
      i += 1;
      whole = `${whole.slice(0, -1)} ${lines[i] ?? ""}`;
    }
    const match = /^\s*([A-Za-z]+)\s+(.*?)\s*$/.exec(whole);
    if (match === null) continue;
    const [, keyword = "", rest = ""] = match;
    if (keyword.toUpperCase() === "FROM") stages.push({ from: rest, instructions: [] });
    else stages.at(-1)?.instructions.push({ keyword: keyword.toUpperCase(), text: rest, line });
  }
  return stages;
}

/** Instructions of a stage, behind those of the stages it is built on. */
function withStagesBelow(stage: Stage | undefined, stages: readonly Stage[]): Stage["instructions"] {
  const seen: Stage[] = [];
  for (let next = stage; next !== undefined && !seen.includes(next);) {
    seen.unshift(next);
    const base = next.from.replace(/^--\S+\s+/, "").split(/\s+/)[0] ?? "";
    next = stages.find((one) => new RegExp(`\\sAS\\s+${escapeRegExp(base)}$`, "i").test(one.from));
  }
  return seen.flatMap(({ instructions }) => instructions);
}

/** What the Dockerfile itself asks for stays in the context. */
function ownIgnore(folder: Folder, stage: Stage["instructions"]): readonly string[] {
  const copied = stage.filter(({ keyword }) => ["COPY", "ADD", "RUN"].includes(keyword)).map(({ text }) => text);
  return ignoreLines(folder, []).filter((line) => {
    const name = line.replace(/^\*\*\//, "").replaceAll("*", "");
    return !copied.some((text) => new RegExp(`(^|[\\s/"])${escapeRegExp(name)}([\\s/"]|$)`).test(text));
  });
}
