import { OperatorError } from "../../errors/operator-error.ts";
import { type Folder, hasFile, readText } from "./folder.ts";
import { frameworkOutput } from "./node-frameworks.ts";
import { emptyManifest, parseManifest } from "./node-manifest.ts";
import { otherPrograms, serverPrograms } from "./node-start.ts";
import { findWorkspace } from "./node-workspace.ts";
import { planNode } from "./node.ts";
import { planDockerfile } from "./own-dockerfile.ts";
import { planImage } from "./plan-image.ts";
import type { Plan, Wishes } from "./proposal.ts";
import { isPython, planPython } from "./python.ts";
import { planStatic, siteFolder, sitePort } from "./site.ts";

/**
 * Finds out what kind of project a folder is, and how it is built and run.
 *
 * @throws {OperatorError} `NOT_FOUND` when it is none of those that are known, or nothing tells how it is started
 */
export function planFor(folder: Folder, wishes: Wishes): Plan {
  if (wishes.image !== null) return planImage(wishes.image, wishes);
  const wanted = wishes.dockerfile?.replace(/^\.\//, "") ?? null;
  const dockerfile = [wanted, "Dockerfile", "Containerfile"].find(
    (name): name is string => name !== null && hasFile(folder, name),
  );
  if (dockerfile !== undefined) return planDockerfile(folder, dockerfile, wishes);
  if (wanted !== null)
    throw new OperatorError(
      "NOT_FOUND",
      `Cannot build from "${wanted}", which ${wishes.file} names: there is no such file`,
      {
        hint: "correct the name; files above the folder that is built cannot be used",
      },
    );
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
  const foreign = foreignLanguage(folder);
  if (foreign !== undefined && !isPython(folder) && manifest?.scripts.has("start") !== true && !isNodeCommand(wishes))
    throw new OperatorError(
      "NOT_FOUND",
      `Cannot write a Dockerfile for "${folder.name}": ${foreign} tells of a language that init does not know`,
      {
        hint: "write a Dockerfile, then run `bronze init` again",
      },
    );
  if (isPython(folder) && !isNodeCommand(wishes) && !(starts && isNodeFirst(folder)))
    return planPython(folder, wishes, env);
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
  return /^(node|npm|npx|yarn|pnpm|bun) /.test(typeof line === "string" ? line : (line?.join(" ") ?? ""));
}

/** The file by which a project of another language is known; its package.json, if it has one, only builds pages. */
function foreignLanguage(folder: Folder): string | undefined {
  const files = [
    "Gemfile",
    "composer.json",
    "go.mod",
    "Cargo.toml",
    "mix.exs",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
  ];
  return (
    files.find((name) => hasFile(folder, name)) ?? folder.entries.find((name) => /\.(cs|fs)proj$|\.sln$/.test(name))
  );
}
