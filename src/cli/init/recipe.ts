import { OperatorError } from "../../errors/operator-error.ts";
import type { Folder } from "./folder.ts";
import type { Assumption, BuildPlan, Variables } from "./proposal.ts";

/** A Debian recipe of a runtime and the files of a folder. */
export function recipeOf(
  folder: Folder,
  suite: string,
  packages: readonly string[],
  env: Variables,
  command: readonly string[],
): { readonly build: BuildPlan; readonly assumption: Assumption } {
  const copy = copied(folder, folder.entries.filter(belongsInImage));
  return {
    build: {
      kind: "debian",
      suite,
      packages,
      workdir: null,
      copy,
      copyNote: "What the image holds of this folder; add what you add.",
      env,
      command,
    },
    assumption: {
      what: `the image holds ${copy.join(", ")}`,
      why: "that is what is here, without hidden files and what only developers read",
    },
  };
}

/** Most names at the top that a recipe copies one by one. */
const mostCopied = 500;

/** Names at the top of a folder as a recipe copies them. @throws {OperatorError} `DEFINITION_INVALID` when they are too many */
export function copied(folder: Folder, entries: readonly string[]): readonly string[] {
  if (entries.length > mostCopied)
    throw new OperatorError(
      "DEFINITION_INVALID",
      `Cannot list what the image holds of "${folder.name}": ${entries.length} files at its top, ${mostCopied} at most`,
      { hint: "put them into a folder, such as public/ for a site" },
    );
  return entries.map((entry) => entry.replace(/\/$/, ""));
}

/** Hidden files (secrets, version control), definitions and what only developers read stay out. */
export function belongsInImage(entry: string): boolean {
  // A name that is no UTF-8 cannot be written down.
  if ((entry.startsWith(".") && entry !== ".well-known/") || entry.includes("\ufffd")) return false;
  return !/^(bronze\.(ya?ml|lock)|Dockerfile.*|Containerfile|docker-compose.*|compose.*\.ya?ml|Procfile|README.*|CHANGELOG.*|CONTRIBUTING.*|LICEN[CS]E.*|.*\.log|.*\.(pem|key|p12)|coverage\/|tests?\/|__tests__\/|__pycache__\/|venv\/)$/i.test(
    entry,
  );
}
