import { nearestName } from "../../model/nearest.ts";
import { checkSources } from "./addresses.ts";
import { takeFlags, readFlags, type FlagKinds, type Flags } from "./flags.ts";
import type { CommandLine, CopyInstruction, Instruction, InstructionBody, Pair, StageStart } from "./instruction.ts";
import { InstructionProblem } from "./problems.ts";
import { readHealthcheck } from "./health.ts";
import { checkMount } from "./mounts.ts";
import { parseHeredocWord, type Heredoc, type WrittenInstruction } from "./source-text.ts";
import { splitQuoted } from "./words.ts";

const copyFlags: FlagKinds = {
  from: "text",
  chown: "text",
  chmod: "text",
  link: "switch",
  parents: "switch",
  exclude: "many",
};
const addFlags: FlagKinds = {
  chown: "text",
  chmod: "text",
  link: "switch",
  exclude: "many",
  checksum: "text",
  unpack: "switch",
  "keep-git-dir": "switch",
};
const flagKinds: { readonly [keyword: string]: FlagKinds } = {
  FROM: { platform: "text" },
  COPY: copyFlags,
  ADD: addFlags,
  RUN: { mount: "many", network: "text", security: "text", device: "many" },
  HEALTHCHECK: {
    interval: "text",
    timeout: "text",
    "start-period": "text",
    "start-interval": "text",
    retries: "text",
  },
};

/** The keywords that exist, besides FROM. */
export const keywords =
  "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR".split(
    " ",
  );

/**
 * Understands one instruction of a Dockerfile, or a trigger of ONBUILD.
 *
 * @throws {InstructionProblem} where it is none, or one that is not supported
 */
export function readInstruction(written: WrittenInstruction, escape: string): Instruction | StageStart {
  const { keyword, line } = written;
  const { flags: given, rest } = takeFlags(written.text, escape);
  const flags = readFlags(keyword, given, flagKinds[keyword] ?? {});
  if (rest === "") throw new InstructionProblem(`${keyword} says nothing`);
  const text = `${keyword} ${written.text}`;
  if (keyword === "FROM") return { ...readFrom(rest, flags), line, text };
  return { ...readBody(written, rest, flags, escape), line, text };
}

function readFrom(rest: string, flags: Flags): Omit<StageStart, "line" | "text"> {
  const [base = "", as, name, more] = rest.split(/\s+/);
  if (more !== undefined || (as !== undefined && (as.toLowerCase() !== "as" || name === undefined)))
    throw new InstructionProblem("FROM takes a name, and AS with another");
  if (name !== undefined && !/^[a-z][a-z0-9._-]*$/.test(name.toLowerCase()))
    throw new InstructionProblem(
      `"${name.slice(0, 80)}" is no name for a stage: it begins with a letter, then letters, digits and . _ -`,
    );
  return { kind: "from", base, name: name?.toLowerCase() ?? null, platform: flags.text("platform") };
}

function readBody(written: WrittenInstruction, rest: string, flags: Flags, escape: string): InstructionBody {
  switch (written.keyword) {
    case "ARG":
      return { kind: "arg", args: splitQuoted(rest, escape).map(readArg) };
    case "ENV":
      return { kind: "env", pairs: readPairs("ENV", rest, escape) };
    case "LABEL":
      return { kind: "label", pairs: readPairs("LABEL", rest, escape) };
    case "WORKDIR":
      return { kind: "workdir", path: rest };
    case "USER":
      return { kind: "user", name: rest };
    case "STOPSIGNAL":
      return { kind: "stopsignal", signal: rest };
    case "MAINTAINER":
      return { kind: "maintainer", name: rest };
    case "EXPOSE":
      return { kind: "expose", ports: rest.split(/\s+/) };
    case "VOLUME": {
      const paths = readList(rest) ?? rest.split(/\s+/);
      if (paths.some((path) => path.trim() === "")) throw new InstructionProblem("VOLUME names an empty path");
      return { kind: "volume", paths };
    }
    case "CMD":
      return { kind: "cmd", command: readCommand(rest) };
    case "ENTRYPOINT":
      return { kind: "entrypoint", command: readCommand(rest) };
    case "SHELL": {
      const words = readList(rest);
      if (words === null || words.length === 0)
        throw new InstructionProblem('SHELL takes a list: SHELL ["/bin/sh", "-c"]');
      return { kind: "shell", words };
    }
    case "HEALTHCHECK":
      return { kind: "healthcheck", check: readHealthcheck(rest, flags, readCommand) };
    case "ONBUILD":
      return { kind: "onbuild", trigger: readTrigger(rest, written.heredocs) };
    case "RUN":
      return readRun(rest, flags, written.heredocs);
    case "COPY":
    case "ADD":
      return readCopy(written.keyword, rest, flags, written.heredocs);
    default:
      throw unknownInstruction(written.keyword);
  }
}

function readArg(word: string): { readonly name: string; readonly value: string | null } {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  if (name === "") throw new InstructionProblem(`"${word.slice(0, 80)}" names no variable`);
  return { name, value: equals < 0 ? null : word.slice(equals + 1) };
}

function readPairs(keyword: string, rest: string, escape: string): readonly Pair[] {
  const words = splitQuoted(rest, escape);
  if (words[0]?.includes("=") !== true) {
    const space = rest.search(/\s/);
    if (space < 0) throw new InstructionProblem(`${keyword} "${rest.slice(0, 80)}" has no value`);
    return [{ name: rest.slice(0, space), value: rest.slice(space).trim() }];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw new InstructionProblem(`"${word.slice(0, 80)}" is not NAME=VALUE`);
    return { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function readCommand(rest: string): CommandLine {
  const words = readList(rest);
  return words === null ? { form: "shell", line: rest } : { form: "exec", words };
}

/** A JSON list of texts; null where it is none, for Docker takes what only looks like a list as plain words. */
export function readList(text: string): readonly string[] | null {
  if (!text.startsWith("[")) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new InstructionProblem("a list may hold texts only");
}

function readTrigger(rest: string, heredocs: readonly Heredoc[]): string {
  const keyword = (/^\S*/.exec(rest)?.[0] ?? "").toUpperCase();
  if (keyword === "ONBUILD") throw new InstructionProblem("ONBUILD cannot be a trigger of ONBUILD");
  if (keyword === "FROM" || keyword === "MAINTAINER")
    throw new InstructionProblem(`${keyword} cannot be a trigger of ONBUILD`);
  if (!keywords.includes(keyword)) throw unknownInstruction(keyword);
  return [rest, ...heredocs.map(({ content, name }) => `${content}${name}`)].join("\n");
}

function readRun(rest: string, flags: Flags, documents: readonly Heredoc[]): InstructionBody {
  const network = flags.text("network") ?? "default";
  if (network === "host")
    throw new InstructionProblem(
      "RUN --network=host",
      "unsupported",
      "a step that sees this machine's own network can change the machine; leave it out, the default reaches the outside",
    );
  if (network !== "default" && network !== "none")
    throw new InstructionProblem(`--network=${network.slice(0, 40)}: there are default, none and host`);
  const security = flags.text("security") ?? "sandbox";
  if (security === "insecure")
    throw new InstructionProblem(
      "RUN --security=insecure",
      "unsupported",
      "a step with all privileges can change the machine; do without, or build the image elsewhere and import it",
    );
  if (security !== "sandbox")
    throw new InstructionProblem(`--security=${security.slice(0, 40)}: there are sandbox and insecure`);
  if (flags.many("device").length > 0)
    throw new InstructionProblem("RUN --device", "unsupported", "steps get no devices of the machine; leave it out");
  const mounts = flags.many("mount");
  mounts.forEach(checkMount);
  const command = readCommand(rest);
  if (command.form === "exec" && command.words.length === 0) throw new InstructionProblem("RUN names no program");
  if (command.form === "exec" && documents.length > 0)
    throw new InstructionProblem("a RUN that is a list takes no here-document");
  return { kind: "run", command, documents, mounts, network: network === "none" ? "none" : "egress" };
}

function readCopy(keyword: "COPY" | "ADD", rest: string, flags: Flags, heredocs: readonly Heredoc[]): CopyInstruction {
  const words = readList(rest) ?? rest.split(/\s+/);
  const target = words.at(-1);
  if (target === undefined || words.length < 2)
    throw new InstructionProblem(`${keyword} takes what to copy and where to`);
  if (parseHeredocWord(target) !== undefined)
    throw new InstructionProblem(`the target of ${keyword} cannot be a here-document`);
  const from = keyword === "COPY" ? flags.text("from") : null;
  if (from?.includes("$") === true)
    throw new InstructionProblem(
      "--from takes no variables",
      "invalid",
      "give the image a name by a stage of its own, FROM $IMAGE AS NAME, and use --from=NAME",
    );
  if (from === "") throw new InstructionProblem("--from names nothing");
  const documents: Heredoc[] = [];
  const sources: string[] = [];
  for (const word of words.slice(0, -1)) {
    const name = parseHeredocWord(word)?.name;
    const document = name === undefined ? undefined : heredocs.find((heredoc) => heredoc.name === name);
    if (document === undefined) sources.push(word);
    else documents.push(document);
  }
  if (documents.length > 0 && from !== null)
    throw new InstructionProblem("a here-document comes from no image: leave --from out");
  checkSources(keyword === "COPY" ? "copy" : "add", sources);
  const checksum = keyword === "ADD" ? flags.text("checksum") : null;
  return {
    kind: keyword === "COPY" ? "copy" : "add",
    from,
    sources,
    documents,
    target,
    chown: flags.text("chown"),
    chmod: flags.text("chmod"),
    link: flags.switch("link"),
    parents: keyword === "COPY" && flags.switch("parents"),
    exclude: flags.many("exclude"),
    checksum,
    unpack: keyword === "ADD" && flags.text("unpack") !== null ? flags.switch("unpack") : null,
  };
}

function unknownInstruction(keyword: string): InstructionProblem {
  const near = nearestName(keyword, keywords);
  return new InstructionProblem(
    `"${keyword.slice(0, 40)}" is no instruction${near === undefined ? "" : `, did you mean ${near}?`}`,
  );
}
