import { parseDefinition } from "../../definition/parse.ts";
import type { Definition } from "../../model/definition.ts";
import { readDockerfile } from "./dockerfile-facts.ts";
import type { Folder } from "./folder.ts";
import type { Proposal } from "./proposal.ts";
import type { ProposeOptions } from "./other-files.ts";
import { propose } from "./propose.ts";

/** A folder of these files, in memory. */
export function folderOf(files: Readonly<Record<string, string>>, name = "My Shop"): Folder {
  const paths = Object.keys(files);
  const tops = paths.map((path) => (path.includes("/") ? `${path.split("/")[0]}/` : path));
  return {
    name,
    entries: [...new Set(tops)].toSorted(),
    files: paths.filter((path) => !path.startsWith("node_modules/")).toSorted(),
    readBytes: (path) => (Object.hasOwn(files, path) ? Buffer.from(files[path] ?? "") : undefined),
  };
}

export interface Proposed extends Proposal {
  readonly definition: Definition;
  /** Text of the Dockerfile that it writes, "" for none. */
  readonly dockerfile: string;
  readonly yaml: string;
  /** All that it tells, a line each. */
  readonly told: string;
}

/** What is proposed for these files; the definition and the Dockerfile are read back. */
export function proposed(files: Readonly<Record<string, string>>, options?: ProposeOptions): Proposed {
  const proposal = propose(folderOf(files), options);
  const textOf = (path: string): string => proposal.files.find((file) => file.path === path)?.text ?? "";
  const yaml = textOf("bronze.yaml");
  const told = [
    ...proposal.assumed.map(({ what, why }) => `assumed: ${what}: ${why}`),
    ...proposal.notCarriedOver.map(({ what, where, advice }) => `not carried over: ${what} (${where}): ${advice}`),
    ...proposal.todo.map((task) => `to do: ${task}`),
  ].join("\n");
  const dockerfile = textOf("Dockerfile");
  const { problem } = readDockerfile(dockerfile === "" ? "FROM scratch" : dockerfile, "Dockerfile", null, {});
  if (problem !== null)
    throw new Error(`${problem}
${dockerfile}`);
  return { ...proposal, yaml, definition: parseDefinition(yaml, "bronze.yaml"), dockerfile, told };
}
