import { lstatSync, realpathSync } from "node:fs";
import { join, relative } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import { globSource, hasWildcard, readIgnoreRule, type IgnoreRule } from "./ignore.ts";
import { walkTree, type FoundFile } from "./walk.ts";

/** The project's files, without those that stay out of builds. */
export interface Context {
  /** What a path or pattern names, sorted; each with all that is below it. */
  find(pattern: string): readonly { readonly path: BytePath; readonly files: readonly FoundFile[] }[];
}

export function openContext(projectDir: string): Context {
  const root = realpathSync(projectDir);
  const ignored = readIgnoreRule(root);
  return {
    find(pattern) {
      const clean = cleanPattern(pattern);
      const paths = hasWildcard(clean) ? expand(root, clean, ignored) : [locate(root, clean)];
      const found = paths
        .map((path) => ({ path, files: walkTree(root, path, ignored) }))
        .filter(({ files }) => files.length > 0);
      if (found.length > 0) return found;
      throw new OperatorError("BUILD_FAILED", `Cannot copy "${pattern}" from the project: nothing there matches it`, {
        hint: "paths are relative to the project's folder; what .dockerignore names does not count",
      });
    },
  };
}

function cleanPattern(pattern: string): string {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  if (!parts.includes("..")) return parts.join("/");
  throw new OperatorError("BUILD_FAILED", `Cannot copy "${pattern}" into an image: it is outside the project`, {
    hint: "move the files into the project's folder",
  });
}

/** Follows symlinks on the way as long as they stay inside the project. */
function locate(root: string, path: string): BytePath {
  if (path === "") return "";
  try {
    lstatSync(join(root, path));
  } catch (cause) {
    throw new OperatorError("BUILD_FAILED", `Cannot copy "${path}" from the project: it does not exist`, {
      hint: "paths are relative to the project's folder",
      cause,
    });
  }
  const real = realpathSync(join(root, path));
  const inside = relative(root, real);
  if (inside === ".." || inside.startsWith("../")) {
    throw new OperatorError(
      "BUILD_FAILED",
      `Cannot copy "${path}" into an image: it leads out of the project to ${real}`,
      { hint: "move the files into the project's folder" },
    );
  }
  return toBytePath(inside);
}

function expand(root: string, pattern: string, ignored: IgnoreRule): readonly BytePath[] {
  const matches = new RegExp(`^${globSource(toBytePath(pattern))}$`, "s");
  const depth = pattern.split("/").length;
  const deep = pattern.includes("**");
  return walkTree(root, "", ignored)
    .map((file) => file.path)
    .filter((path) => path !== "" && (deep || path.split("/").length === depth) && matches.test(path))
    .sort();
}
