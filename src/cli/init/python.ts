import { OperatorError } from "../../errors/operator-error.ts";
import { appUser, dockerfileText, envLines, listInstruction } from "./dockerfile-text.ts";
import { type Folder, readText } from "./folder.ts";
import { ignoreLines, keepsOut } from "./ignore-lines.ts";
import { pythonTakes, pythonVersion, type RuntimeVersion } from "./versions.ts";
import { readPythonProject, type PythonProject } from "./python-project.ts";
import { pythonStart, type PythonStart } from "./python-server.ts";
import type { Assumption, Plan, Variables, Wishes } from "./proposal.ts";
import { recipeOf } from "./recipe.ts";
import { writtenDockerfile } from "./site.ts";
import { defaultPort, findHealthRoute, findLoopbackOnly, findPort, sourceFiles } from "./source-hints.ts";

/** Python as Debian's suites have it. */
const debianPythons = [
  { suite: "bookworm", minor: 11 },
  { suite: "trixie", minor: 13 },
];
/** Packages that are compiled on installation, and Debian's library that they run with. */
const compiled: ReadonlyMap<string, string | null> = new Map([
  ["psycopg2", "libpq5"],
  ["mysqlclient", "libmariadb3"],
  ["uwsgi", null],
  ["pycairo", "libcairo2"],
  ["python-ldap", "libldap-2.5-0"],
]);

/** Whether a folder holds a Python project. */
export function isPython(folder: Folder): boolean {
  const files = [
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "manage.py",
    "main.py",
    "app.py",
    "server.py",
  ];
  return files.some((name) => folder.files.includes(name));
}

/** @throws {OperatorError} `NOT_FOUND` when nothing tells how it is started */
export function planPython(folder: Folder, wishes: Wishes, env: Variables): Plan {
  const project = readPythonProject(folder);
  const version = pythonVersion(folder, project.requires);
  const sources = sourceFiles(folder, /\.py$/);
  const first = pythonStart(folder, project, sources, wishes.start, defaultPort);
  if (first === undefined) throw noStart(folder);
  const files =
    first.program !== undefined && folder.files.includes(first.program)
      ? sourceFiles(folder, /\.py$/, first.program)
      : sources;
  const { port, why } = choosePort(folder, files, wishes, first);
  const start = pythonStart(folder, project, sources, wishes.start, port) ?? first;
  // Django answers probes by address with 400 unless it is told to.
  const health = start.django || wishes.healthPath !== null ? undefined : findHealthRoute(folder, files);
  const loopback = start.words[0]?.startsWith("python") === true ? findLoopbackOnly(folder, files) : undefined;
  const assumed: Assumption[] = [
    { what: `started by ${start.words.join(" ")}`, why: start.from },
    { what: `port ${port}`, why },
    ...(health === undefined ? [] : [{ what: `healthy when ${health.path} answers 2xx`, why: health.why }]),
    ...(start.installs === null
      ? []
      : [{ what: `${start.installs} is installed`, why: "the project names no server for production" }]),
  ];
  const todo =
    loopback === undefined
      ? []
      : [`${loopback} listens for its own machine only; instances are reached from outside, so listen on 0.0.0.0`];
  const common = {
    kind: "python" as const,
    name: project.name,
    holdsSources: true,
    port,
    command: null,
    files: [],
    healthPath: health?.path ?? null,
    tmpfs: [],
    notCarriedOver: [],
  };
  const debian = recipeSuite(project, version, start);
  if (debian !== undefined) {
    const [, ...rest] = start.words;
    const variables = { PYTHONUNBUFFERED: "1", ...env, ...start.env };
    const { build, assumption } = recipeOf(folder, debian.suite, ["python3"], variables, ["python3", ...rest]);
    const whyPython = version.guessed ? "no package is needed and nothing says another" : version.why;
    return {
      ...common,
      build,
      ignore: null,
      assumed: [
        ...assumed,
        { what: `Python 3.${debian.minor}, the one of Debian ${debian.suite}`, why: whyPython },
        assumption,
      ],
      todo,
    };
  }
  const text = dockerfileText(
    wishes.start === null ? "this Python project" : `${wishes.file} and this Python project`,
    stages(folder, project, version, start, port, env),
  );
  return {
    ...common,
    build: writtenDockerfile(text),
    ignore: ignoreLines(folder, [
      "**/__pycache__",
      "**/*.pyc",
      ".venv",
      "venv",
      ".pytest_cache",
      ".mypy_cache",
      ".ruff_cache",
      "*.sqlite3",
    ]),
    assumed: [
      ...assumed,
      { what: `Python ${version.tag}, from the image ${base(version, false)}`, why: version.why },
      {
        what:
          project.packages.tool === "none"
            ? "nothing is installed"
            : `dependencies are installed by ${project.packages.install}`,
        why: project.packages.why,
      },
      ...(text.includes("collectstatic")
        ? [{ what: "collectstatic runs in the build", why: "the settings have STATIC_ROOT" }]
        : []),
    ],
    todo: [
      ...todo,
      ...project.packages.todo,
      ...(start.django ? ["migrations are not run: python manage.py migrate, by hand, before `bronze up`"] : []),
      ...(folder.entries.includes(".dockerignore") && folder.entries.includes(".venv/") && !keepsOut(folder, ".venv")
        ? ["add .venv to .dockerignore: that of this machine would cover that of the image"]
        : []),
    ],
  };
}

function choosePort(
  folder: Folder,
  files: readonly string[],
  wishes: Wishes,
  start: PythonStart,
): { readonly port: number; readonly why: string } {
  if (wishes.port !== null) return { port: wishes.port.value, why: `${wishes.port.from} says so` };
  if (start.port === null) return findPort(folder, files, null);
  const why =
    wishes.start === null
      ? `that is usual for ${start.words[0]}, which is told so`
      : start.words.some((word) => word.includes(String(start.port)))
        ? `${start.from} names it`
        : `${start.words[0]} takes what PORT says`;
  return { port: start.port, why };
}

function recipeSuite(
  project: PythonProject,
  version: RuntimeVersion,
  start: PythonStart,
): (typeof debianPythons)[number] | undefined {
  if (project.packages.tool !== "none" || start.installs !== null || start.viaShell) return undefined;
  if (start.words[0]?.startsWith("python") !== true) return undefined;
  const { requires } = project;
  return debianPythons.find(({ minor }) =>
    requires === null || !version.why.includes(requires.range)
      ? version.guessed || version.tag === "3" || version.tag === `3.${minor}`
      : pythonTakes(requires.range, minor),
  );
}

function base(version: RuntimeVersion, full: boolean): string {
  return `python:${version.tag}${full ? "" : "-slim"}`;
}

function stages(
  folder: Folder,
  project: PythonProject,
  version: RuntimeVersion,
  start: PythonStart,
  port: number,
  env: Variables,
): readonly string[] {
  const { packages } = project;
  const native = [...compiled].filter(([name]) => project.dependencies.has(name));
  const libraries = native.flatMap(([, library]) => library ?? []);
  const all = packages.files === null;
  const runs = `RUN --mount=type=cache,target=${packages.cache} `;
  const own = packages.setUp.filter((command) => command.startsWith("python "));
  const tools = packages.setUp.filter((command) => !command.startsWith("python "));
  const server = start.installs === null ? [] : [serverLine(packages.tool, start.installs)];
  const more = {
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
    ...(start.sourceFolder === null ? {} : { PYTHONPATH: `/app/${start.sourceFolder}` }),
  };
  return [
    `FROM ${base(version, native.length > 0)} AS build`,
    ...envLines(packages.env),
    "WORKDIR /app",
    ...[...tools, ...own].map((command) => `RUN ${command}`),
    ...(all ? ["COPY . ."] : packages.files.length === 0 ? [] : [`COPY ${packages.files.join(" ")} ./`]),
    ...(packages.install === "" ? [] : [`${runs}${packages.install}`]),
    ...server,
    "",
    `FROM ${base(version, false)}`,
    `ENV PATH=/app/.venv/bin:$PATH`,
    ...envLines({ ...more, ...env, ...start.env }),
    ...(libraries.length === 0
      ? []
      : [`RUN apt-get update && apt-get install --yes --no-install-recommends ${libraries.join(" ")}`]),
    "WORKDIR /app",
    "COPY --from=build /app/.venv .venv",
    "COPY . .",
    ...(start.django ? collectStatic(folder) : []),
    `USER ${appUser}`,
    `EXPOSE ${port}`,
    listInstruction("CMD", start.words),
  ];
}

function serverLine(tool: PythonProject["packages"]["tool"], requirement: string): string {
  if (tool === "uv") return `RUN uv pip install --python .venv ${requirement}`;
  const pip = "RUN --mount=type=cache,target=/root/.cache/pip ";
  return tool === "pip" || tool === "none"
    ? `${pip}.venv/bin/pip install ${requirement}`
    : `${pip}pip --python .venv install ${requirement}`;
}

/** Files that Django serves are gathered once, in the image; settings that read variables get a word for each. */
function collectStatic(folder: Folder): readonly string[] {
  const settings = folder.files.filter((path) => /(^|\/)settings(\/[^/]+)?\.py$/.test(path));
  const text = settings.map((path) => readText(folder, path) ?? "").join("\n");
  if (!/^\s*STATIC_ROOT\s*=/m.test(text)) return [];
  const names = [
    ...text.matchAll(/(?:environ\[|getenv\(|environ\.get\(|env\(|config\()\s*["']([A-Z][A-Z0-9_]*)["']\s*[\])]/g),
  ].map((match) => match[1] ?? "");
  const words = [...new Set(names)].map((name) => `${name}=unset `);
  return [`RUN ${words.join("")}python manage.py collectstatic --noinput`];
}

function noStart(folder: Folder): OperatorError {
  return new OperatorError(
    "NOT_FOUND",
    `Cannot tell how "${folder.name}" is started: there is no manage.py, no Flask or FastAPI app, no main.py, app.py or server.py`,
    { hint: "say it in a Procfile, web: COMMAND, or write bronze.yaml yourself" },
  );
}
