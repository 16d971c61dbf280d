import { OperatorError } from "../../errors/operator-error.ts";
import { acceptable } from "./acceptable.ts";
import { readCompose } from "./compose.ts";
import { type Folder, hasFile } from "./folder.ts";
import { readKamal } from "./kamal.ts";
import { readProcfile } from "./procfile.ts";
import { noWishes, type Assumption, type Wishes } from "./proposal.ts";

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
 * What another tool's file says about the app, and which such files are not read.
 *
 * @throws {OperatorError} `NOT_FOUND`, `DEFINITION_INVALID` for a file that cannot be read
 */
export function readWishes(
  folder: Folder,
  options: ProposeOptions,
): { readonly wishes: Wishes; readonly others: readonly Assumption[] } {
  const present = otherFiles.filter(
    (name) => hasFile(folder, name) && (options.service === undefined || isCompose(name)),
  );
  const there = options.from === undefined ? present : [options.from];
  const read = there.find((name) => options.service === undefined || isCompose(name));
  if (options.service !== undefined && read === undefined)
    throw new OperatorError(
      "NOT_FOUND",
      `Cannot use service "${options.service}": ${options.from ?? "this folder"} is no compose file`,
      {
        hint: "leave --service out, or name a compose.yaml with --from",
      },
    );
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

/** Whether a file is read as Compose's: other YAML but Kamal's. */
function isCompose(file: string): boolean {
  return /\.ya?ml$/.test(file) && !/(^|\/)deploy(\.[\w-]+)?\.ya?ml$/.test(file);
}

function readOne(folder: Folder, file: string, service: string | null): Wishes | null {
  const name = file.slice(file.lastIndexOf("/") + 1);
  if (name.startsWith("Procfile") && hasFile(folder, file)) return readProcfile(folder, file);
  if (/^deploy(\.[\w-]+)?\.ya?ml$/.test(name)) return readKamal(folder, file);
  if (isCompose(file)) return readCompose(folder, file, service);
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot read "${file}": ${hasFile(folder, file) ? "it is of no known kind" : "there is no such file here"}`,
    {
      hint: "name a compose.yaml, a Procfile or a config/deploy.yml with --from",
    },
  );
}
