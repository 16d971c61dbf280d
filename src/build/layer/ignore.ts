import { readFileSync } from "node:fs";
import { join } from "node:path";
import { toBytePath, type BytePath } from "../../image/tar-entry.ts";

/** Says whether a path of the project stays out of every build. */
export type IgnoreRule = (path: BytePath) => boolean;

/**
 * The rules of `.dockerignore`, last match wins, "!" takes back. A pattern also covers what is below it.
 * `.git` at the top stays out always: it differs between clones of one commit.
 */
export function readIgnoreRule(projectDir: string): IgnoreRule {
  let text = "";
  try {
    text = readFileSync(join(projectDir, ".dockerignore"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return parseIgnoreRule(text);
}

export function parseIgnoreRule(text: string): IgnoreRule {
  const rules = [".git", ...text.replace(/^\ufeff/, "").split(/\r?\n/)]
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const taken = line.startsWith("!");
      const pattern = (taken ? line.slice(1).trim() : line).replace(/^\/+|\/+$/g, "").replace(/^\.\//, "");
      return { ignores: !taken, matches: new RegExp(`^${globSource(toBytePath(pattern))}(/.*)?$`, "s") };
    });
  return (path) => rules.reduce((ignored, rule) => (rule.matches.test(path) ? rule.ignores : ignored), false);
}

/** A pattern of `*`, `?`, `[…]`, `\x` and `**` as the source of a regular expression over byte paths. */
export function globSource(pattern: string): string {
  let source = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charAt(i);
    if (c === "*" && pattern[i + 1] === "*") {
      const slash = pattern[i + 2] === "/";
      source += slash ? "(?:.*/)?" : ".*";
      i += slash ? 2 : 1;
    } else if (c === "*") source += "[^/]*";
    else if (c === "?") source += "[^/]";
    else if (c === "[" && pattern.indexOf("]", i + 2) > 0) {
      const end = pattern.indexOf("]", i + 2);
      const body = pattern
        .slice(i + 1, end)
        .replace(/^!/, "^")
        .replace(/[\\[]/g, "\\$&");
      source += `(?!/)[${body}]`;
      i = end;
    } else {
      if (c === "\\" && i + 1 < pattern.length) i++;
      source += pattern.charAt(i).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    }
  }
  return source;
}

export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}
