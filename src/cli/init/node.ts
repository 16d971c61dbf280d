import { OperatorError } from "../../errors/operator-error.ts";
import { portOfCommand } from "./command-line.ts";
import { appUser, dockerfileText, listInstruction } from "./dockerfile-text.ts";
import type { Folder } from "./folder.ts";
import { ignoreLines, keepsOut } from "./ignore-lines.ts";
import { buildStage, nodeBase, stagesOf, type NodeImage } from "./node-dockerfile.ts";
import { frameworkOutput, type FrameworkOutput } from "./node-frameworks.ts";
import type { NodeManifest } from "./node-manifest.ts";
import { needsTools, npmrcOf, packageManager, type PackageManager } from "./node-packages.ts";
import { nodeStart, type NodeStart } from "./node-start.ts";
import type { Assumption, Plan, Variables, Wishes } from "./proposal.ts";
import { belongsInImage, servedBy, siteStage, writtenDockerfile } from "./site.ts";
import { commandMayHoldSecret } from "./secrets.ts";
import { defaultPort, findHealthRoute, findLoopbackOnly, findPort, sourceFiles } from "./source-hints.ts";
import { nodeFits, nodeVersion, type RuntimeVersion } from "./versions.ts";

/** Node as Debian's suites have it. */
const debianNodes = [
  { suite: "bookworm", version: "18.20.4" },
  { suite: "trixie", version: "20.19.2" },
];
const code = /\.[cm]?[jt]sx?$/;

/** @throws {OperatorError} `NOT_FOUND` when nothing tells how it is started */
export function planNode(folder: Folder, manifest: NodeManifest, wishes: Wishes, env: Variables): Plan {
  const manager = packageManager(folder, manifest);
  const output = wishes.start === null ? frameworkOutput(folder, manifest) : undefined;
  const version = nodeVersion(folder, {
    engines: manifest.engines,
    volta: manifest.volta,
    types: manifest.devDependencies.get("@types/node") ?? null,
  });
  if (output?.kind === "site") return planBuiltSite(folder, manifest, manager, version, output, wishes);
  return planServer(folder, manifest, manager, version, output, wishes, env);
}

/** What every plan for Node says in the same way. */
function commonPlan(manifest: NodeManifest): Omit<Plan, "kind" | "build" | "port" | "assumed" | "todo"> {
  return {
    name: manifest.name,
    command: null,
    healthPath: null,
    tmpfs: [],
    capabilities: [],
    ignore: null,
    notCarriedOver: [],
  };
}

function planServer(
  folder: Folder,
  manifest: NodeManifest,
  manager: PackageManager,
  version: RuntimeVersion,
  output: Extract<FrameworkOutput, { kind: "server" }> | undefined,
  wishes: Wishes,
  env: Variables,
): Plan {
  const usual = output === undefined ? null : { port: output.port, of: output.framework };
  const found = (port: number): NodeStart | undefined =>
    output?.command !== undefined && output.command !== null
      ? {
          words: output.command,
          env: {},
          from: output.why,
          viaShell: false,
          program: undefined,
          developmentTool: undefined,
          remarks: [],
        }
      : nodeStart(folder, manifest, wishes.start, port);
  const first = found(defaultPort);
  if (first === undefined) throw noStart(folder);
  if (wishes.start === null && commandMayHoldSecret(first.words.join(" "))) throw secretInStart(first.from);
  const files = sourceFiles(
    folder,
    code,
    first.program !== undefined && folder.files.includes(first.program) ? first.program : undefined,
  );
  const { port, why } = choosePort(folder, files, wishes, first, usual);
  const start = found(port) ?? first;
  const health = wishes.healthPath === null ? findHealthRoute(folder, files) : undefined;
  const debian = recipeSuite(folder, manifest, version, start);
  const loopback = findLoopbackOnly(folder, files);
  const assumed: Assumption[] = [
    { what: `started by ${start.words.join(" ")}`, why: start.from },
    { what: `port ${port}`, why },
    ...(health === undefined ? [] : [{ what: `healthy when ${health.path} answers 2xx`, why: health.why }]),
  ];
  const todo = [
    ...start.remarks,
    ...(loopback === undefined
      ? []
      : [`${loopback} listens for its own machine only; instances are reached from outside, so listen on 0.0.0.0`]),
    ...fastifyHint(folder, manifest, files),
  ];
  const common = { ...commonPlan(manifest), kind: "node" as const, port, healthPath: health?.path ?? null };
  if (debian !== undefined) {
    const copy = folder.entries.filter(belongsInImage).map((entry) => entry.replace(/\/$/, ""));
    return {
      ...common,
      build: {
        kind: "debian",
        suite: debian.suite,
        packages: ["nodejs"],
        workdir: null,
        copy,
        copyNote: "What the image holds of this folder; add what you add.",
        env: { ...env, ...start.env },
        command: start.words,
      },
      assumed: [
        ...assumed,
        {
          what: `Node.js ${debian.version.split(".")[0]}, the one of Debian ${debian.suite}`,
          why: version.guessed ? "no package is needed and nothing says another" : version.why,
        },
        {
          what: `the image holds ${copy.join(", ")}`,
          why: "that is what is here, without hidden files and what only developers read",
        },
      ],
      todo,
    };
  }
  const image: NodeImage = {
    manager,
    manifest,
    folder,
    version,
    tools: needsTools(folder, manager),
    start,
    output,
    env: { ...env, ...output?.env, ...start.env },
    port,
  };
  return {
    ...common,
    tmpfs: output?.cache === null || output === undefined ? [] : [`/app/${output.cache}`],
    build: writtenDockerfile(
      dockerfileText(wishes.start === null ? "package.json" : `${wishes.file} and package.json`, stagesOf(image)),
    ),
    ignore: nodeIgnore(folder),
    assumed: [...assumed, ...packageFacts(folder, manager, version, image.tools)],
    todo: [...todo, ...packageTasks(folder, manager)],
  };
}

function planBuiltSite(
  folder: Folder,
  manifest: NodeManifest,
  manager: PackageManager,
  version: RuntimeVersion,
  output: Extract<FrameworkOutput, { kind: "site" }>,
  wishes: Wishes,
): Plan {
  const port = wishes.port?.value ?? defaultPort;
  const tools = needsTools(folder, manager);
  const run = manager.name === "bun" ? "bun run build" : `${manager.name} run build`;
  const lines = [
    ...buildStage({ folder, manifest, manager, version, tools }, run, {}),
    "",
    ...siteStage(`/app/${output.folder}/`, output.singlePage, port),
    `USER ${appUser}`,
    `EXPOSE ${port}`,
    listInstruction("CMD", ["nginx", "-g", "daemon off;"]),
  ];
  return {
    ...commonPlan(manifest),
    kind: "static",
    port,
    build: writtenDockerfile(dockerfileText("package.json", lines)),
    ignore: nodeIgnore(folder),
    assumed: [
      ...servedBy(port, output.framework, output.why),
      { what: `${run} fills the folder ${output.folder}`, why: `${output.framework} does so` },
      ...packageFacts(folder, manager, version, tools),
    ],
    todo: packageTasks(folder, manager),
  };
}

function choosePort(
  folder: Folder,
  files: readonly string[],
  wishes: Wishes,
  start: NodeStart,
  usual: { readonly port: number; readonly of: string } | null,
): { readonly port: number; readonly why: string } {
  if (wishes.port !== null) return { port: wishes.port.value, why: `${wishes.port.from} says so` };
  const line = wishes.start?.line ?? start.words;
  const named = portOfCommand(typeof line === "string" ? line : line.join(" "));
  return named === undefined ? findPort(folder, files, usual) : { port: named, why: `${start.from} names it` };
}

/** The suite whose own Node will do: nothing is installed, nothing is built, and no shell starts it. */
function recipeSuite(
  folder: Folder,
  manifest: NodeManifest,
  version: RuntimeVersion,
  start: NodeStart,
): (typeof debianNodes)[number] | undefined {
  const vendored = folder.entries.includes("node_modules/") && !keepsOut(folder, "node_modules") && isCommitted(folder);
  const installs = manifest.dependencies.size > 0 && !vendored;
  if (installs || manifest.scripts.has("build") || start.viaShell || start.words[0] !== "node") return undefined;
  if (start.program?.endsWith("ts") === true || manifest.workspaces) return undefined;
  return debianNodes.find((one) => nodeFits(version, manifest.engines, one.version));
}

/** Whether version control keeps node_modules as well: no .gitignore leaves it out. */
function isCommitted(folder: Folder): boolean {
  const text = new TextDecoder().decode(folder.readBytes(".gitignore") ?? new Uint8Array());
  return folder.readBytes(".gitignore") !== undefined && !/^\/?(\*\*\/)?node_modules\/?\s*$/m.test(text);
}

function packageFacts(
  folder: Folder,
  manager: PackageManager,
  version: RuntimeVersion,
  tools: string | undefined,
): readonly Assumption[] {
  const base = nodeBase(manager, version, false);
  return [
    {
      what: manager.name === "bun" ? `Bun, from the image ${base}` : `Node.js ${version.tag}, from the image ${base}`,
      why: manager.name === "bun" ? manager.why : version.why,
    },
    { what: `dependencies are installed by ${manager.install}`, why: manager.why },
    ...(tools === undefined
      ? []
      : [
          {
            what: "dependencies are installed in the image with compilers and git",
            why: `${manager.lock} has ${tools}`,
          },
        ]),
    ...(npmrcOf(folder)?.copied === true
      ? [{ what: ".npmrc is used in the build", why: "it is there and holds no token itself" }]
      : []),
  ];
}

function packageTasks(folder: Folder, manager: PackageManager): readonly string[] {
  const npmrc = npmrcOf(folder);
  return [
    ...(manager.lock === null
      ? [
          "there is no lock file, so each build without a cache takes the newest packages: run npm install --package-lock-only, and write npm ci instead of npm install in the Dockerfile",
        ]
      : []),
    ...(npmrc?.variables ?? []).map(
      (name) => `.npmrc takes ${name} from the environment: bronze build --secret id=${name},env=${name}`,
    ),
    ...(npmrc?.copied === false
      ? [".npmrc holds a token and stays out of the image: bronze build --secret id=npmrc,src=.npmrc"]
      : []),
    ...(folder.entries.includes(".dockerignore") && !keepsOut(folder, "node_modules")
      ? ["add node_modules to .dockerignore: those of this machine would cover those of the image"]
      : []),
  ];
}

function nodeIgnore(folder: Folder): readonly string[] {
  const npmrc = npmrcOf(folder);
  return ignoreLines(folder, [
    "**/node_modules",
    ".next",
    ".nuxt",
    ".output",
    ".svelte-kit",
    "coverage",
    ...(npmrc?.copied === false ? [".npmrc"] : []),
  ]);
}

/** Fastify listens on the loopback address unless it is told another. */
function fastifyHint(folder: Folder, manifest: NodeManifest, files: readonly string[]): readonly string[] {
  if (!manifest.dependencies.has("fastify")) return [];
  const texts = files.map((file) => new TextDecoder().decode(folder.readBytes(file) ?? new Uint8Array()));
  const at = texts.findIndex((text) => /\.listen\(\s*\{[^}]*\}/.test(text));
  if (at < 0 || texts.some((text) => /\bhost\s*:/.test(text))) return [];
  return [`${files[at]} starts Fastify without a host, so it listens for its own machine only: say host: "0.0.0.0"`];
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
