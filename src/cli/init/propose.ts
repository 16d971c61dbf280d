import { OperatorError } from "../../errors/operator-error.ts";
import { acceptable } from "./acceptable.ts";
import { unfitCommands } from "./carried.ts";
import { readCompose } from "./compose.ts";
import { definitionText } from "./definition-text.ts";
import { type Folder, folderBelow, hasFile, readText } from "./folder.ts";
import { keepsOut } from "./ignore-lines.ts";
import { readKamal } from "./kamal.ts";
import { emptyManifest, parseManifest } from "./node-manifest.ts";
import { planNode } from "./node.ts";
import { findWorkspace } from "./node-workspace.ts";
import { otherPrograms, serverPrograms } from "./node-start.ts";
import { planDockerfile } from "./own-dockerfile.ts";
import { readProcfile } from "./procfile.ts";
import { noWishes, type Assumption, type Plan, type Proposal, type Wishes } from "./proposal.ts";
import { isPython, planPython } from "./python.ts";
import { frameworkOutput } from "./node-frameworks.ts";
import { planStatic, siteFolder, sitePort } from "./site.ts";
import { defaultPort } from "./source-hints.ts";
import { appNameFrom } from "./text.ts";

export interface ProposeOptions {
  /** Another tool's file; absent: the first of those that are there. */
  readonly from?: string;
  /** Service of a compose file. */
  readonly service?: string;
}

/** Files of other tools, the one that says most about production first. */
const otherFiles = [
  "config/deploy.yml",
  "compose.yaml",
  "compose.yml",
  "docker-compose.yaml",
  "docker-compose.yml",
  "Procfile",
];

/**
 * A definition for a folder, what was assumed for it, and what of another tool's file it does not say.
 *
 * @throws {OperatorError} `NOT_FOUND` when the folder is none of the kinds that are known, `DEFINITION_INVALID` for a file
 *   that cannot be read
 */
export function propose(folder: Folder, options: ProposeOptions = {}): Proposal {
  const { wishes, others } = readWishes(folder, options);
  const unfit = unfitCommands(wishes);
  const safe = unfit.length === 0 ? wishes : { ...wishes, start: null, entrypoint: null };
  const place = safe.folder === "" ? folder : folderBelow(folder, safe.folder);
  const plan = planFor(place, safe);
  const app = appNameFrom(safe.name ?? plan.name ?? place.name);
  const files = [
    ...plan.files,
    ...(plan.build.kind === "dockerfile" && plan.build.text !== null
      ? [{ path: plan.build.path, text: plan.build.text }]
      : []),
    ...(plan.ignore === null || place.entries.includes(".dockerignore")
      ? []
      : [{ path: ".dockerignore", text: `${plan.ignore.join("\n")}\n` }]),
    { path: "bronze.yaml", text: definitionText(app, plan, safe) },
  ];
  return {
    kind: plan.kind,
    folder: safe.folder,
    files,
    assumed: [...others, ...safe.assumed, ...plan.assumed, ...basesOf(plan), ...carried(safe, plan.port)],
    notCarriedOver: [...unfit, ...safe.notCarriedOver, ...plan.notCarriedOver],
    todo: [...plan.todo, ...leftIn(place, plan)],
  };
}

function readWishes(
  folder: Folder,
  options: ProposeOptions,
): { readonly wishes: Wishes; readonly others: readonly Assumption[] } {
  const there = options.from === undefined ? otherFiles.filter((name) => hasFile(folder, name)) : [options.from];
  for (const [index, file] of there.entries()) {
    const found = readOne(folder, file, options.service ?? null);
    if (found === null) continue;
    const wishes = acceptable(found);
    const left = there.slice(index + 1);
    const others = left.map((name) => ({
      what: `${name} is not read`,
      why: `${file} is there too; bronze init --from ${name} reads it instead`,
    }));
    return { wishes, others };
  }
  if (options.from !== undefined)
    throw new OperatorError(
      "NOT_FOUND",
      `Cannot take an app from "${options.from}": it names other people's images only`,
      {
        hint: "name the service with --service, or leave --from out",
      },
    );
  return { wishes: noWishes("this folder"), others: [] };
}

function readOne(folder: Folder, file: string, service: string | null): Wishes | null {
  const name = file.slice(file.lastIndexOf("/") + 1);
  if (name.startsWith("Procfile") && hasFile(folder, file)) return readProcfile(folder, file);
  if (/^deploy(\.[\w-]+)?\.ya?ml$/.test(name)) return readKamal(folder, file);
  if (/\.ya?ml$/.test(name)) return readCompose(folder, file, service);
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot read "${file}": ${hasFile(folder, file) ? "it is of no known kind" : "there is no such file here"}`,
    {
      hint: "name a compose.yaml, a Procfile or a config/deploy.yml with --from",
    },
  );
}

function planFor(folder: Folder, wishes: Wishes): Plan {
  if (wishes.image !== null) return planImage(wishes.image, wishes);
  const dockerfile = [wishes.dockerfile, "Dockerfile", "Containerfile"].find(
    (name): name is string => name !== null && hasFile(folder, name),
  );
  if (dockerfile !== undefined) return planDockerfile(folder, dockerfile, wishes);
  const env = Object.fromEntries(wishes.env.map(({ name, value }) => [name, value]));
  const text = readText(folder, "package.json");
  const manifest = text === undefined ? undefined : parseManifest(text);
  const site = siteFolder(folder);
  const starts =
    manifest !== undefined &&
    (wishes.start !== null ||
      manifest.scripts.has("start") ||
      manifest.main !== null ||
      frameworkOutput(folder, manifest) !== undefined ||
      findWorkspace(folder, manifest) !== undefined ||
      [...serverPrograms, ...otherPrograms].some((name) => hasFile(folder, name)));
  if (isPython(folder) && !(starts && isNodeFirst(folder))) return planPython(folder, wishes, env);
  if (manifest !== undefined && (starts || site === undefined)) return planNode(folder, manifest, wishes, env);
  const programs = site === undefined ? [...serverPrograms, ...otherPrograms] : serverPrograms;
  if (manifest === undefined && (programs.some((name) => hasFile(folder, name)) || isNodeCommand(wishes)))
    return planNode(folder, emptyManifest, wishes, env);
  if (site !== undefined) return planStatic(folder, site, sitePort(wishes));
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot write a definition for "${folder.name}": it has no Dockerfile, package.json, server.js, Python project or index.html`,
    {
      hint: "write bronze.yaml yourself: `app: NAME` and `build: { dockerfile: PATH }`, `{ debian: bookworm, packages: […], copy: […], command: […] }` or `{ image: PATH }`",
    },
  );
}

/** Of a folder with both: Python is the app where it has a list of packages or Django, and package.json builds its pages. */
function isNodeFirst(folder: Folder): boolean {
  return !["requirements.txt", "pyproject.toml", "Pipfile", "manage.py"].some((name) => hasFile(folder, name));
}

function isNodeCommand(wishes: Wishes): boolean {
  const line = wishes.start?.line;
  return (typeof line === "string" ? line : line?.join(" "))?.startsWith("node ") === true;
}

function planImage(name: string, wishes: Wishes): Plan {
  const start = [wishes.entrypoint, wishes.start].flatMap((one) => (one === null ? [] : [one]));
  const port = wishes.port?.value ?? defaultPort;
  return {
    kind: "image",
    name: null,
    build: { kind: "image", name },
    port,
    command: null,
    files: [],
    healthPath: null,
    tmpfs: [],
    ignore: null,
    assumed: [
      { what: `the image ${name} is the app`, why: `${wishes.file} builds none` },
      {
        what: `port ${port}`,
        why:
          wishes.port === null
            ? `${wishes.file} names none; instances are told by PORT`
            : `${wishes.port.from} says so`,
      },
    ],
    notCarriedOver: [
      ...start.map(({ from }) => ({
        what: "command",
        where: from,
        advice: "say the whole command, with the image's entrypoint, in run.command",
      })),
      ...wishes.env.map(({ name: variable, from }) => ({
        what: `environment variable ${variable}`,
        where: from,
        advice: `write a Dockerfile: FROM ${name}, ENV ${variable}=…`,
      })),
    ],
    todo: [],
  };
}

/** What a .dockerignore of the project's own lets into an image that copies the whole project. */
function leftIn(folder: Folder, { build }: Plan): readonly string[] {
  if (build.kind !== "dockerfile" || build.text === null || !folder.entries.includes(".dockerignore")) return [];
  return folder.entries
    .filter((entry) => entry === ".git/" || (/^\.env(\.|$)/.test(entry) && !/example|sample|template/.test(entry)))
    .map((entry) => entry.replace(/\/$/, ""))
    .filter((name) => !keepsOut(folder, name))
    .map((name) => `add ${name} to .dockerignore: it would be in the image`);
}

/** Images that a written Dockerfile builds on. */
function basesOf({ build }: Plan): readonly Assumption[] {
  if (build.kind !== "dockerfile" || build.text === null) return [];
  const stages = new Set([...build.text.matchAll(/^FROM \S+ AS (\S+)$/gm)].map((match) => match[1] ?? ""));
  const names = [...build.text.matchAll(/^FROM (\S+)/gm)].map((match) => match[1] ?? "");
  const bases = [...new Set(names.filter((name) => !stages.has(name)))].join(" and ");
  const why =
    "the first build fetches and pins it, unless the store has that name: bronze pull, or bronze import --name";
  return [{ what: `${bases} from Docker Hub`, why }];
}

/** What of another tool's file the definition says, beyond what the plan tells by itself. */
function carried(wishes: Wishes, port: number): readonly Assumption[] {
  const { file } = wishes;
  return [
    ...(port < 1024 ? [{ what: "the capability NET_BIND_SERVICE", why: `port ${port} needs it` }] : []),
    ...(wishes.host === null
      ? []
      : [{ what: `requests for ${wishes.host.value}`, why: `${wishes.host.from} says so` }]),
    ...(wishes.healthPath === null
      ? []
      : [{ what: `healthy when ${wishes.healthPath.value} answers 2xx`, why: `${wishes.healthPath.from} asks it` }]),
    ...(wishes.memory === null ? [] : [{ what: `memory ${wishes.memory}`, why: `${file} limits it` }]),
    ...(wishes.cpu === null ? [] : [{ what: `cpu ${wishes.cpu}`, why: `${file} limits it` }]),
    ...(wishes.instances === null || wishes.instances === 1
      ? []
      : [{ what: `${wishes.instances} instances`, why: `${file} has that many replicas` }]),
  ];
}
