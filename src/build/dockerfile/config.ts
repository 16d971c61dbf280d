import { posix } from "node:path";
import { toBytePath } from "../../image/tar-entry.ts";
import type { CommandLine, Instruction } from "./instruction.ts";
import { InstructionProblem } from "./problems.ts";
import { shellOf, withConfig, withHistory, withVariable, type StageState } from "./stage-state.ts";
import { expandText, expandWords } from "./words.ts";

/** Instructions that change no files. */
export type ConfigInstruction = Exclude<Instruction, { readonly kind: "run" | "copy" | "add" }>;

export interface ConfigContext {
  readonly escape: string;
  readonly epoch: number;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globals: ReadonlyMap<string, string>;
}

/**
 * Carries out an instruction that only changes what the image says about itself.
 *
 * @throws {InstructionProblem} {SyntaxError}
 * @see Dockerfile reference; BuildKit's frontend for the lines of history
 */
export function applyConfig(state: StageState, instruction: ConfigInstruction, context: ConfigContext): StageState {
  const expand = (text: string): string => expandText(text, state.variables, { escape: context.escape });
  const done = (changed: StageState, history: string): StageState => withHistory(changed, history, context.epoch, null);
  const { config } = state.image;
  switch (instruction.kind) {
    case "arg":
      return applyArguments(state, instruction.args, context);
    case "env": {
      // All of them see what was there before this instruction.
      const pairs = instruction.pairs.map(({ name, value }) => [variableName(expand(name)), expand(value)] as const);
      const changed = pairs.reduce((now, [name, value]) => withVariable(now, name, value), state);
      return done(changed, `ENV ${pairs.map((pair) => pair.join("=")).join(" ")}`);
    }
    case "label": {
      const pairs = instruction.pairs.map(({ name, value }) => [expand(name), expand(value)] as const);
      const labels = new Map([...Object.entries(config.Labels ?? {}), ...pairs]);
      return done(
        withConfig(state, { Labels: Object.fromEntries(labels) }),
        `LABEL ${pairs.map((pair) => pair.join("=")).join(" ")}`,
      );
    }
    case "workdir": {
      const path = posix.resolve("/", config.WorkingDir ?? "/", expand(instruction.path));
      const folder = { path: toBytePath(path.slice(1)), user: config.User ?? "" };
      const folders = path === "/" ? state.folders : [...state.folders, folder];
      return done({ ...withConfig(state, { WorkingDir: path }), folders }, `WORKDIR ${path}`);
    }
    case "user": {
      const name = expand(instruction.name);
      return done(withConfig(state, { User: name }), `USER ${name}`);
    }
    case "stopsignal": {
      const signal = expand(instruction.signal);
      if (!/^([0-9]{1,2}|(SIG)?[A-Z][A-Z0-9+-]{1,14})$/i.test(signal))
        throw new InstructionProblem(`"${signal.slice(0, 40)}" is no signal`);
      return done(withConfig(state, { StopSignal: signal }), `STOPSIGNAL ${signal}`);
    }
    case "expose": {
      const words = instruction.ports.flatMap((port) => expandWords(port, state.variables, { escape: context.escape }));
      const ports = words.flatMap(readPorts).sort();
      const all = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
      return done(withConfig(state, { ExposedPorts: all }), `EXPOSE [${[...new Set(ports)].join(" ")}]`);
    }
    case "volume": {
      const paths = instruction.paths.map(expand);
      const all = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
      return done(withConfig(state, { Volumes: all }), `VOLUME [${paths.join(" ")}]`);
    }
    case "maintainer":
      return done({ ...state, image: { ...state.image, author: instruction.name } }, `MAINTAINER ${instruction.name}`);
    case "cmd": {
      const words = commandWords(instruction.command, state);
      const { Cmd: _, ...rest } = config;
      const image = { ...state.image, config: words.length === 0 ? rest : { ...rest, Cmd: words } };
      return done({ ...state, image, commandSet: true }, `CMD ${quoted(words)}`);
    }
    case "entrypoint": {
      const words = commandWords(instruction.command, state);
      // A new entrypoint takes away a command that was meant for the base's.
      const { Cmd: command, Entrypoint: _, ...rest } = config;
      const kept = state.commandSet && command !== undefined ? { ...rest, Cmd: command } : rest;
      // An empty list takes away the base's.
      const changed = words.length === 0 ? kept : { ...kept, Entrypoint: words };
      const image = { ...state.image, config: changed };
      return done({ ...state, image }, `ENTRYPOINT ${quoted(words)}`);
    }
    case "shell":
      return done(withConfig(state, { Shell: instruction.words }), `SHELL [${instruction.words.join(" ")}]`);
    case "healthcheck":
      return done(withConfig(state, { Healthcheck: instruction.check }), instruction.text);
    case "onbuild": {
      const triggers = [...(config.OnBuild ?? []), instruction.trigger];
      return withConfig(state, { OnBuild: triggers });
    }
    default:
      return instruction satisfies never;
  }
}

function applyArguments(
  state: StageState,
  args: Extract<Instruction, { readonly kind: "arg" }>["args"],
  { escape, epoch, buildArgs, globals }: ConfigContext,
): StageState {
  let changed = state;
  const written: string[] = [];
  for (const arg of args) {
    const expand = (text: string): string => expandText(text, changed.variables, { escape });
    const name = variableName(expand(arg.name));
    const own = arg.value === null ? undefined : expand(arg.value);
    const value = buildArgs.get(name) ?? own ?? globals.get(name);
    written.push(value === undefined ? name : `${name}=${value}`);
    const variables = value === undefined ? changed.variables : changed.variables.with(name, value);
    changed = { ...changed, variables, args: [...changed.args.filter((before) => before !== name), name] };
  }
  return withHistory(changed, `ARG ${written.join(" ")}`, epoch, null);
}

function variableName(name: string): string {
  if (name !== "" && !name.includes("=") && !name.includes("\0")) return name;
  throw new InstructionProblem(`"${name.slice(0, 80)}" is no variable's name`);
}

/** The words of a command; a line goes to the stage's shell. */
export function commandWords(command: CommandLine, state: StageState): readonly string[] {
  return command.form === "exec" ? command.words : [...shellOf(state.image.config), command.line];
}

function quoted(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;
}

/** `80`, `80/udp`, `8000-8010/tcp`, as an image's config has them. */
function readPorts(text: string): readonly string[] {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first < 1 || last > 65_535 || last < first)
    throw new InstructionProblem(`"${text.slice(0, 40)}" is no port: write 8080, 53/udp or 8000-8010`);
  const protocol = (match[3] ?? "tcp").toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}
