import { OperatorError } from "../../errors/operator-error.ts";
import { portOfCommand } from "./command-line.ts";
import { dockerfileText } from "./dockerfile-text.ts";
import { type Folder, readText } from "./folder.ts";
import { keepsOut } from "./ignore-lines.ts";
import { stagesOf } from "./node-dockerfile.ts";
import type { FrameworkOutput } from "./node-frameworks.ts";
import { nodeIgnore, packageFacts, packageTasks, type NodeProject } from "./node-project.ts";
import { nodeStart, type NodeStart } from "./node-start.ts";
import type { Assumption, Plan, Variables, Wishes } from "./proposal.ts";
import { recipeOf } from "./recipe.ts";
import { commandMayHoldSecret } from "./secrets.ts";
import { writtenDockerfile } from "./site.ts";
import {
  defaultPort,
  findHealthRoute,
  findLoopbackOnly,
  findPort,
  sourceFiles,
  type PortHint,
} from "./source-hints.ts";
import { nodeFits } from "./versions.ts";

/** Node as Debian's suites have it. */
const debianNodes = [
  { suite: "bookworm", version: "18.20.4" },
  { suite: "trixie", version: "20.19.2" },
];
const code = /\.[cm]?[jt]sx?$/;

type ServerOutput = Extract<FrameworkOutput, { kind: "server" }>;

/** @throws {OperatorError} `NOT_FOUND` when nothing tells how it is started, `DEFINITION_INVALID` when a secret does */
export function planServer(project: NodeProject, output: ServerOutput | null, wishes: Wishes, env: Variables): Plan {
  const { folder, manifest } = project;
  const command = output?.command ?? null;
  const found = (at: number): NodeStart | undefined =>
    output === null || command === null
      ? nodeStart(folder, manifest, wishes.start, at)
      : frameworkStart(output, command);
  const first = found(defaultPort);
  if (first === undefined) throw noStart(folder);
  if (wishes.start === null && commandMayHoldSecret(first.words.join(" "))) throw secretInStart(first.from);
  const isProgram = first.program !== undefined && folder.files.includes(first.program);
  const files = sourceFiles(folder, code, isProgram ? first.program : undefined);
  const { port, why } = choosePort(folder, files, wishes, first, output);
  const start = found(port) ?? first;
  const health = wishes.healthPath === null ? findHealthRoute(folder, files) : undefined;
  const assumed: Assumption[] = [
    { what: `started by ${start.words.join(" ")}`, why: start.from },
    { what: `port ${port}`, why },
    ...(health === undefined ? [] : [{ what: `healthy when ${health.path} answers 2xx`, why: health.why }]),
  ];
  const todo = [...start.remarks, ...listenHints(project, files)];
  const common = {
    kind: "node" as const,
    name: project.rootManifest.name ?? manifest.name,
    holdsSources: (output?.parts ?? null) === null,
    port,
    command: null,
    files: [],
    healthPath: health?.path ?? null,
    notCarriedOver: [],
  };
  const debian = debianNode(project, start);
  if (debian !== undefined) {
    const { version } = project;
    const why18 = version.guessed ? "no package is needed and nothing says another" : version.why;
    const { build, assumption } = recipeOf(folder, debian.suite, ["nodejs"], { ...env, ...start.env }, start.words);
    return {
      ...common,
      build,
      tmpfs: [],
      ignore: null,
      assumed: [
        ...assumed,
        { what: `Node.js ${debian.version.split(".")[0]}, the one of Debian ${debian.suite}`, why: why18 },
        assumption,
      ],
      todo,
    };
  }
  const cache = output?.cache ?? null;
  const inApp = project.workspace === null ? "" : `${project.workspace.path}/`;
  const lines = stagesOf({ ...project, start, output, env: { ...env, ...output?.env, ...start.env }, port });
  return {
    ...common,
    tmpfs: cache === null ? [] : [`/app/${inApp}${cache}`],
    build: writtenDockerfile(
      dockerfileText(wishes.start === null ? "package.json" : `${wishes.file} and package.json`, lines),
    ),
    ignore: nodeIgnore(project.root),
    assumed: [...assumed, ...packageFacts(project)],
    todo: [...todo, ...packageTasks(project)],
  };
}

function frameworkStart(output: ServerOutput, words: readonly string[]): NodeStart {
  return {
    words,
    env: {},
    from: output.why,
    viaShell: false,
    program: undefined,
    developmentTool: undefined,
    remarks: [],
  };
}

function choosePort(
  folder: Folder,
  files: readonly string[],
  wishes: Wishes,
  start: NodeStart,
  output: ServerOutput | null,
): PortHint {
  if (wishes.port !== null) return { port: wishes.port.value, why: `${wishes.port.from} says so` };
  const line = wishes.start?.line ?? start.words;
  const named = portOfCommand(typeof line === "string" ? line : line.join(" "));
  if (named !== undefined) return { port: named, why: `${start.from} names it` };
  return findPort(folder, files, output === null ? null : { port: output.port, of: output.framework });
}

/** The suite whose own Node will do: nothing is installed, nothing is built, and no shell starts it. */
function debianNode(project: NodeProject, start: NodeStart): (typeof debianNodes)[number] | undefined {
  const { root, manifest, version, workspace, build } = project;
  const isPlain = start.words[0] === "node" && !start.viaShell && start.program?.endsWith("ts") !== true;
  if (!isPlain || build !== undefined || workspace !== null || project.rootManifest.workspaces) return undefined;
  if (manifest.dependencies.size > 0 && !isVendored(root)) return undefined;
  return debianNodes.find((one) => nodeFits(version, manifest.engines, one.version));
}

/** Whether version control keeps node_modules as well: a .gitignore does not leave it out. */
function isVendored(folder: Folder): boolean {
  const ignored = readText(folder, ".gitignore");
  return (
    folder.entries.includes("node_modules/") &&
    !keepsOut(folder, "node_modules") &&
    ignored !== undefined &&
    !/^\/?(\*\*\/)?node_modules\/?\s*$/m.test(ignored)
  );
}

function listenHints({ folder, manifest }: NodeProject, files: readonly string[]): readonly string[] {
  const loopback = findLoopbackOnly(folder, files);
  if (loopback !== undefined)
    return [`${loopback} listens for its own machine only; instances are reached from outside, so listen on 0.0.0.0`];
  if (!manifest.dependencies.has("fastify")) return [];
  // Fastify listens on the loopback address unless it is told another.
  const at = files.find((file) => /\.listen\(\s*\{[^}]*\}/.test(readText(folder, file) ?? ""));
  if (at === undefined || files.some((file) => /\bhost\s*:/.test(readText(folder, file) ?? ""))) return [];
  return [`${at} starts Fastify without a host, so it listens for its own machine only: say host: "0.0.0.0"`];
}

function noStart(folder: Folder): OperatorError {
  return new OperatorError(
    "NOT_FOUND",
    `Cannot tell how "${folder.name}" is started: package.json has no start script and no main, and there is no server.js or index.js`,
    { hint: "add a start script to package.json, or write bronze.yaml yourself" },
  );
}

function secretInStart(from: string): OperatorError {
  return new OperatorError("DEFINITION_INVALID", `Cannot carry over ${from}: its arguments look like a secret`, {
    hint: "have the program read it from its environment, and keep it out of version control",
  });
}
