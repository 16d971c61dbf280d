import { readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import type { ErrorCode } from "../../errors/codes.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { toBytePath } from "../../image/tar-entry.ts";
import type { ContainerConfig } from "../../image/oci.ts";
import type { Store } from "../../ports/store.ts";
import { readBaseTree, resolveInTree } from "../layer/base-tree.ts";
import type { Bases } from "../bases.ts";
import type { BuildCache } from "../cache.ts";
import type { LayerPart, Owner } from "../layer/compose.ts";
import { openContext, type Context, type FoundTree } from "../layer/context.ts";
import { invalid, parseDockerfile, type Instruction } from "./parse.ts";
import { expandText, splitWords } from "./words.ts";
import { defaultPath, emptyImage, machineArchitecture, readImage, withEnv, type ImageState } from "../image-state.ts";
import { buildLayer } from "../layer/layer.ts";
import type { BuildEvent } from "../options.ts";
import { resolveOwner } from "./owner.ts";

export interface DockerfileOptions {
  readonly projectDir: string;
  readonly path: string;
  readonly store: Store;
  readonly cache: BuildCache;
  readonly bases: Bases;
  readonly epoch: number;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

interface Progress {
  image: ImageState;
  /** Folders that WORKDIR wants; they go into the next layer. */
  folders: LayerPart[];
  /** Whether CMD came in this file. */
  commandSet: boolean;
  /** Whether FROM has been carried out. */
  started: boolean;
  readonly globals: Map<string, string>;
  readonly args: Map<string, string>;
}

const mostBytes = 2 ** 20;
/** Errors that get file and line added. */
const placed: ReadonlySet<ErrorCode> = new Set(["BUILD_FAILED", "NOT_FOUND", "ARGUMENT_INVALID", "REGISTRY_FAILED"]);

/** Carries out a Dockerfile's instructions. @throws {OperatorError} naming file and line of what cannot be done */
export async function buildDockerfile(options: DockerfileOptions): Promise<ImageState> {
  const file = options.path;
  const text = await readDockerfile(options.projectDir, file);
  const { instructions, escape } = parseDockerfile(text, file);
  const context = await openContext(options.projectDir, options.cache, options.signal);
  const progress: Progress = {
    image: emptyImage(machineArchitecture()),
    folders: [],
    commandSet: false,
    started: false,
    globals: new Map(),
    args: new Map(),
  };
  for (const instruction of instructions) {
    options.signal.throwIfAborted();
    try {
      await carryOut(instruction, progress, context, escape, options);
    } catch (error) {
      if (error instanceof SyntaxError) throw invalid(file, instruction.line, error.message);
      if (error instanceof OperatorError && placed.has(error.code)) {
        throw new OperatorError(error.code, `${error.message} (${file}, line ${instruction.line})`, {
          hint: error.hint,
          cause: error.cause,
        });
      }
      throw error;
    }
  }
  if (progress.folders.length > 0) await addLayer(progress, [], "WORKDIR", options);
  await context.save();
  return progress.image;
}

/** @throws {OperatorError} `DEFINITION_INVALID` */
export async function readDockerfile(projectDir: string, file: string): Promise<string> {
  try {
    const location = join(projectDir, file);
    const stats = await stat(location);
    if (!stats.isFile()) throw new Error(stats.isDirectory() ? "it is a folder" : "it is no regular file");
    if (stats.size > mostBytes) throw invalid(file, 1, "it is larger than 1 MiB");
    return await readFile(location, "utf8");
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError("DEFINITION_INVALID", `Cannot read the Dockerfile "${file}"`, {
      hint: "correct build.dockerfile in bronze.yaml",
      cause,
    });
  }
}

async function carryOut(
  instruction: Instruction,
  progress: Progress,
  context: Context,
  escape: string,
  options: DockerfileOptions,
): Promise<void> {
  const { keyword, text, list, line } = instruction;
  const variables = progress.started ? variablesOf(progress) : progress.globals;
  const words = (): string[] => splitWords(text, variables, escape);
  const one = (): string => expandText(text, variables, escape);
  const config = progress.image.config;
  const set = (change: ContainerConfig): void => {
    progress.image = {
      ...progress.image,
      config: { ...progress.image.config, ...change },
      history: [
        ...progress.image.history,
        { created: createdAt(options.epoch), created_by: `${keyword} ${text}`, empty_layer: true },
      ],
    };
  };
  switch (keyword) {
    case "ARG":
      for (const word of words()) {
        const equals = word.indexOf("=");
        const name = equals < 0 ? word : word.slice(0, equals);
        const value = equals < 0 ? progress.globals.get(name) : word.slice(equals + 1);
        if (value !== undefined) (progress.started ? progress.args : progress.globals).set(name, value);
      }
      return;
    case "FROM":
      progress.image = await startFrom(words(), line, options);
      progress.started = true;
      return;
    case "ENV": {
      let env = config.Env;
      for (const [name, value] of pairs(text, variables, escape, options.path, line)) env = withEnv(env, name, value);
      return set({ Env: env ?? [] });
    }
    case "LABEL":
      return set({
        Labels: { ...config.Labels, ...Object.fromEntries(pairs(text, variables, escape, options.path, line)) },
      });
    case "WORKDIR": {
      const workdir = posix.resolve(config.WorkingDir ?? "/", one());
      progress.folders.push({ kind: "folder", path: toBytePath(workdir.slice(1)) });
      return set({ WorkingDir: workdir });
    }
    case "USER":
      return set({ User: one() });
    case "STOPSIGNAL":
      return set({ StopSignal: one() });
    case "EXPOSE": {
      const ports = words().map((word) => {
        const match = /^([0-9]{1,5})(?:\/(tcp|udp))?$/.exec(word);
        if (match === null || Number(match[1]) < 1 || Number(match[1]) > 65_535)
          throw invalid(options.path, line, `"${word}" is no port`);
        return [`${Number(match[1])}/${match[2] ?? "tcp"}`, {}] as const;
      });
      return set({ ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports) } });
    }
    case "CMD":
      progress.commandSet = true;
      return set({ Cmd: list ?? ["/bin/sh", "-c", text] });
    case "ENTRYPOINT": {
      // As in Docker, a new entrypoint takes away a command that was meant for the base's.
      const { Cmd: baseCommand, ...rest } = config;
      progress.image = { ...progress.image, config: rest };
      return set({
        ...rest,
        Entrypoint: list ?? ["/bin/sh", "-c", text],
        ...(progress.commandSet && baseCommand !== undefined ? { Cmd: baseCommand } : {}),
      });
    }
    default:
      return copy(instruction, list ?? words(), progress, context, options);
  }
}

async function startFrom(words: readonly string[], line: number, options: DockerfileOptions): Promise<ImageState> {
  const [name = "", as, stage, more] = words;
  if (more !== undefined || (as !== undefined && (as.toLowerCase() !== "as" || stage === undefined)))
    throw invalid(options.path, line, "FROM takes a name, and AS with another");
  if (name === "scratch") return { ...emptyImage(machineArchitecture()), config: { Env: [defaultPath] } };
  const digest = await options.bases.resolve(name, `linux/${machineArchitecture()}`);
  const { manifest, image } = await readImage(options.store, digest);
  return {
    architecture: image.architecture,
    config: { ...image.config, Env: image.config.Env ?? [defaultPath] },
    layers: manifest.layers,
    diffIds: image.diffIds,
    history: image.history,
    base: { layers: manifest.layers.length, history: image.history.length, config: image.config },
  };
}

function variablesOf(progress: Progress): Map<string, string> {
  const variables = new Map(progress.args);
  for (const entry of progress.image.config.Env ?? [])
    variables.set(entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1));
  return variables;
}

function pairs(
  text: string,
  variables: ReadonlyMap<string, string>,
  escape: string,
  file: string,
  line: number,
): [name: string, value: string][] {
  const words = splitWords(text, variables, escape);
  const first = words[0] ?? "";
  if (!first.includes("=")) {
    const space = text.search(/\s/);
    if (space < 0) throw invalid(file, line, `"${first}" has no value`);
    return [[first, expandText(text.slice(space).trim(), variables, escape)]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw invalid(file, line, `"${word}" is not NAME=VALUE`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

async function copy(
  instruction: Instruction,
  words: readonly string[],
  progress: Progress,
  context: Context,
  options: DockerfileOptions,
): Promise<void> {
  const to = words.at(-1);
  const sources = words.slice(0, -1);
  if (to === undefined || sources.length === 0)
    throw invalid(options.path, instruction.line, "COPY takes what to copy and where to");
  const flag = (name: string): string | undefined => instruction.flags.find((item) => item.name === name)?.value;
  const chmod = flag("chmod");
  if (chmod !== undefined && !/^[0-7]{3,4}$/.test(chmod))
    throw invalid(options.path, instruction.line, `--chmod=${chmod} is not an octal mode`);
  const owner: Owner = await resolveOwner(
    flag("chown"),
    progress.image.layers,
    options.store,
    options.path,
    instruction.line,
  );
  const target = posix.resolve(progress.image.config.WorkingDir ?? "/", to).slice(1);
  const found: FoundTree[] = [];
  for (const source of sources) found.push(...(await context.find(source)));
  const tree = await readBaseTree(options.store, progress.image.layers, options.cache);
  const there =
    tree.get(resolveInTree(tree, toBytePath(target), true))?.kind === "directory" ||
    progress.folders.some((part) => part.kind === "folder" && part.path === toBytePath(target));
  const intoFolder = to.endsWith("/") || to === "." || to.endsWith("/.") || target === "" || there;
  if (found.length > 1 && !intoFolder)
    throw invalid(options.path, instruction.line, `COPY of several files needs a folder: write ${to}/`);
  const parts = found.map(({ path, files }): LayerPart => {
    const isFolder = files[0]?.kind === "directory" || files[0]?.path !== path;
    const name = path.slice(path.lastIndexOf("/") + 1);
    const place =
      isFolder || !intoFolder
        ? toBytePath(target)
        : [toBytePath(target), name].filter((piece) => piece !== "").join("/");
    return {
      kind: "tree",
      files,
      contents: context.contents,
      from: path,
      to: place,
      owner,
      mode: chmod === undefined ? undefined : Number.parseInt(chmod, 8),
    };
  });
  await addLayer(progress, parts, `COPY ${instruction.text}`, options);
}

async function addLayer(
  progress: Progress,
  parts: readonly LayerPart[],
  createdBy: string,
  options: DockerfileOptions,
): Promise<void> {
  const { layer, cached } = await buildLayer([...progress.folders, ...parts], {
    store: options.store,
    cache: options.cache,
    signal: options.signal,
    epoch: options.epoch,
    base: progress.image.layers,
  });
  options.report({ kind: "note", text: `${createdBy.slice(0, 120)}${cached ? " (unchanged)" : ""}` });
  progress.folders = [];
  progress.image = {
    ...progress.image,
    layers: [...progress.image.layers, layer],
    diffIds: [...progress.image.diffIds, layer.digest],
    history: [...progress.image.history, { created: createdAt(options.epoch), created_by: createdBy }],
  };
}

/** RFC 3339 of whole seconds since the epoch. */
export function createdAt(epoch: number): string {
  return new Date(epoch * 1000).toISOString().replace(".000Z", "Z");
}
