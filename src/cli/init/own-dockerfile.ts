import { planConfig } from "./config.ts";
import { readDockerfile, type DockerfileFacts } from "./dockerfile-facts.ts";
import { type Folder, readText } from "./folder.ts";
import { ignoreLines } from "./ignore-lines.ts";
import { parseCommandLine } from "./command-line.ts";
import type { Assumption, Plan, Wishes } from "./proposal.ts";
import { defaultPort } from "./source-hints.ts";
import { escapeRegExp } from "./text.ts";

const volumeAdvice =
  "an instance's root is read-only; `run.volumes: { NAME: PATH }` keeps what is written there, run.tmpfs forgets it";

/** A definition for a project that has a Dockerfile of its own. */
export function planDockerfile(folder: Folder, path: string, wishes: Wishes): Plan {
  const facts = readDockerfile(readText(folder, path) ?? "", path, wishes.target, wishes.args);
  const { port, why } = choosePort(path, facts, wishes);
  const start = commandOf(wishes, facts.config.Entrypoint, port, path);
  const variables = planConfig(wishes);
  return {
    kind: "dockerfile",
    name: null,
    config: variables.config,
    build: { kind: "dockerfile", path, target: wishes.target, args: wishes.args, text: null },
    holdsSources: true,
    port,
    command: start.command,
    files: [],
    healthPath: null,
    tmpfs: [],
    ignore: folder.entries.includes(".dockerignore") ? null : ownIgnore(folder, facts.instructions),
    assumed: [
      { what: `built from ${path}`, why: "it is there" },
      { what: `port ${port}`, why },
      ...start.assumed,
      ...userOf(path, facts),
    ],
    notCarriedOver: [
      ...start.notCarriedOver,
      ...variables.notCarriedOver,
      ...facts.instructions
        .filter(({ kind }) => kind === "volume")
        .map(({ line }) => ({ what: "VOLUME", where: `${path} line ${line}`, advice: volumeAdvice })),
    ],
    todo: facts.problem === null ? [] : [facts.problem],
  };
}

function userOf(path: string, { config, instructions }: DockerfileFacts): readonly Assumption[] {
  const line = instructions.findLast(({ kind }) => kind === "user")?.line;
  if (line === undefined)
    return [
      {
        what: "the user is the one of its base image",
        why: `${path} has no USER; without capabilities root can do little`,
      },
    ];
  if (!/^(root|0)?(:|$)/.test(config.User ?? "")) return [];
  return [{ what: "it runs as root without capabilities", why: `${path} line ${line} says so` }];
}

function choosePort(
  path: string,
  { config, instructions }: DockerfileFacts,
  wishes: Wishes,
): { readonly port: number; readonly why: string } {
  if (wishes.port !== null) return { port: wishes.port.value, why: `${wishes.port.from} says so` };
  const lineOf = (wanted: "expose" | "env"): number => instructions.findLast(({ kind }) => kind === wanted)?.line ?? 1;
  const variable = config.Env?.find((entry) => /^PORT=[0-9]{2,5}$/.test(entry))?.slice("PORT=".length);
  const exposed = Object.keys(config.ExposedPorts ?? {}).flatMap((port) =>
    port.endsWith("/udp") ? [] : Number.parseInt(port, 10),
  );
  // Of several the one that the image tells its program.
  const port = exposed.find((one) => String(one) === variable) ?? exposed[0];
  if (port !== undefined) return { port, why: `${path} line ${lineOf("expose")} exposes it` };
  if (variable !== undefined && Number(variable) <= 65_535)
    return { port: Number(variable), why: `${path} line ${lineOf("env")} says PORT` };
  return { port: defaultPort, why: `${path} exposes none; instances are told by PORT` };
}

/** The whole command: `CMD` of another file goes behind the entrypoint of this one. */
function commandOf(
  wishes: Wishes,
  entrypoint: readonly string[] | undefined,
  port: number,
  path: string,
): Pick<Plan, "command" | "assumed" | "notCarriedOver"> {
  const wish = wishes.start ?? wishes.entrypoint;
  if (wish === null) return { command: null, assumed: [], notCarriedOver: [] };
  const command = commandBehind(wishes, entrypoint, port);
  if (command === undefined) {
    const advice = `${path} has an ENTRYPOINT for a shell, which takes no arguments; say the whole command in run.command`;
    return { command: null, assumed: [], notCarriedOver: [{ what: "command", where: wish.from, advice }] };
  }
  return {
    command,
    assumed: [
      {
        what: `started by ${command.join(" ")}`,
        why:
          (entrypoint ?? []).length > 0 && wishes.entrypoint === null
            ? `${wish.from} says so, behind the ENTRYPOINT of ${path}`
            : `${wish.from} says so`,
      },
    ],
    notCarriedOver: [],
  };
}

/** The whole command of a process; undefined behind an entrypoint for a shell, which takes no arguments. */
export function commandBehind(
  { start, entrypoint: own }: Pick<Wishes, "start" | "entrypoint">,
  entrypoint: readonly string[] | undefined,
  port: number,
): readonly string[] | undefined {
  const program = own === null ? (entrypoint ?? []) : wordsOf(own.line, port);
  if (own === null && /^\/bin\/(ba)?sh$/.test(program[0] ?? "") && program[1] === "-c") return undefined;
  return [...program, ...(start === null ? [] : wordsOf(start.line, port))];
}

function wordsOf(line: string | readonly string[], port: number): readonly string[] {
  if (typeof line !== "string") return line.map((word) => word.replaceAll(/\$\{?PORT\}?/g, String(port)));
  const { words, env, rest } = parseCommandLine(line, port);
  if (words !== null && env.length === 0) return words;
  return ["/bin/sh", "-c", words === null && env.length === 0 ? rest : line];
}

/** What the Dockerfile itself asks for stays in the context. */
function ownIgnore(folder: Folder, instructions: DockerfileFacts["instructions"]): readonly string[] {
  const asked = instructions.filter(({ kind }) => kind === "copy" || kind === "add" || kind === "run");
  return ignoreLines(folder, []).filter((line) => {
    const name = new RegExp(
      `(^|[\\s/"=,])${escapeRegExp(line.replace(/^\*\*\//, "").replaceAll("*", ""))}([\\s/",]|$)`,
    );
    return !asked.some(({ text }) => name.test(text));
  });
}
