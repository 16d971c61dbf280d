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
  const copy = folder.entries.filter(belongsInImage).map((entry) => entry.replace(/\/$/, ""));
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

/** Hidden files (secrets, version control), definitions and what only developers read stay out. */
export function belongsInImage(entry: string): boolean {
  if (entry.startsWith(".") && entry !== ".well-known/") return false;
  return !/^(bronze\.(ya?ml|lock)|Dockerfile.*|Containerfile|docker-compose.*|compose.*\.ya?ml|Procfile|README.*|CHANGELOG.*|CONTRIBUTING.*|LICEN[CS]E.*|.*\.log|.*\.(pem|key|p12)|coverage\/|tests?\/|__tests__\/|__pycache__\/|venv\/)$/i.test(
    entry,
  );
}
