import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { BuildCache } from "../build/cache.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { sha256, type Digest } from "../model/canonical.ts";
import type { Definition, DefinitionFile, ListedDefinition, NeedPlace } from "../model/definition.ts";
import { rememberedDefinition } from "./remembered-definition.ts";
import { takeVariables } from "./secret-variables.ts";

/** One app's definition, and the folder that its paths begin in. */
export interface Project {
  readonly definition: Definition;
  readonly folder: string;
  /** The definition's file: its name in the folder, and the digest of its bytes. */
  readonly file: { readonly name: string; readonly digest: Digest };
}

export const defaultFile = "bronze.yaml";
/** More than the largest definition, in bytes. */
const mostRead = 512 * 1024;

/**
 * All apps that a definition file defines, or whose definitions it lists, in the order written.
 *
 * @param cache where what was understood is remembered; absent: nowhere
 * @returns undefined where there is no such file
 * @throws {OperatorError} `DEFINITION_INVALID`, `NOT_YET_SUPPORTED`
 */
export async function readProjects(file: string, cache?: BuildCache): Promise<readonly Project[] | undefined> {
  const read = await readDefinitionFile(file, cache);
  if (read === undefined) return undefined;
  if (read.kind === "apps") return read.definitions.map((definition) => projectOf(definition, file, read.digest));
  return listedProjects(file, read.paths);
}

function projectOf(definition: Definition, file: string, digest: Digest): Project {
  const path = resolve(file);
  return { definition, folder: dirname(path), file: { name: basename(path), digest } };
}

async function readDefinitionFile(file: string, cache?: BuildCache) {
  const bytes = readStart(resolve(file), file);
  if (bytes === undefined) return undefined;
  const parse = async (): Promise<DefinitionFile> => {
    const { decodeDefinition } = await import("../definition/decode.ts");
    const { parseDefinitionFile } = await import("../definition/parse.ts");
    return parseDefinitionFile(decodeDefinition(bytes, file), file);
  };
  const read = cache === undefined ? await parse() : await rememberedDefinition(cache, { bytes, file }, parse);
  if (read.kind === "apps") for (const definition of read.definitions) takeVariables(definition, process.env);
  return { ...read, digest: sha256(bytes) };
}

async function listedProjects(list: string, paths: readonly ListedDefinition[]): Promise<readonly Project[]> {
  const { definitionError } = await import("../definition/problem.ts");
  const { needProblems } = await import("../definition/needs.ts");
  const refuse = ({ line, column }: ListedDefinition, message: string): never => {
    throw definitionError(list, [{ kind: "invalid", line, column, path: "apps", message }]);
  };
  const projects: Project[] = [];
  const needs: (NeedPlace & { readonly file: string })[] = [];
  for (const listed of paths) {
    const path = join(dirname(list), listed.path);
    const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? join(path, defaultFile) : path;
    const read = await readDefinitionFile(file);
    if (read === undefined) return refuse(listed, `there is no definition "${file}"`);
    if (read.kind === "list") return refuse(listed, `"${file}" is a list itself; name the definitions that it lists`);
    for (const definition of read.definitions) {
      if (projects.some((other) => other.definition.app === definition.app))
        return refuse(listed, `"${file}" defines ${definition.app}, which another one defines already`);
      projects.push(projectOf(definition, file, read.digest));
    }
    for (const need of read.needs) needs.push({ ...need, file });
  }
  const found = needProblems(
    projects.map(({ definition }) => definition.app),
    needs,
  );
  const inFile = needs.find((need) => found.some(({ place }) => place === need))?.file;
  if (inFile === undefined) return projects;
  const own = found.filter(({ place }) => needs.some((need) => need === place && need.file === inFile));
  throw definitionError(
    inFile,
    own.map(({ place: { line, column, path }, message }) => ({ kind: "invalid", line, column, path, message })),
  );
}

/** A definition's bytes, no more than tell that it is too large; undefined where there is no such file. */
function readStart(path: string, file: string): Buffer | undefined {
  let fd: number | undefined;
  try {
    // Without waiting for the other end of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Error(stats.isDirectory() ? "it is a folder" : "it is no regular file");
    const bytes = Buffer.alloc(mostRead);
    let length = 0;
    for (let count = -1; count !== 0 && length < mostRead; length += count)
      count = readSync(fd, bytes, length, mostRead - length, null);
    return bytes.subarray(0, length);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENOTDIR"))
      return undefined;
    throw new OperatorError("DEFINITION_INVALID", `Cannot read definition "${file.slice(0, 200)}"`, {
      hint: "make it a readable file, or name another with --file",
      cause: thrown,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
