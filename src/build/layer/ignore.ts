import { readFileSync } from "node:fs";
import { join } from "node:path";
import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import type { SkipRule } from "./walk.ts";

/**
 * The rules of `.dockerignore`, last match wins, "!" takes back. A pattern also covers what is below it.
 * `.git` at the top stays out always: it differs between clones of one commit.
 *
 * @param taken gets the file that counts
 */
export function readIgnoreRule(
  projectDir: string,
  names: readonly string[] = [".dockerignore"],
  taken?: (name: string, bytes: Buffer) => void,
): SkipRule {
  for (const name of names) {
    try {
      const bytes = readFileSync(join(projectDir, name));
      taken?.(name, bytes);
      return parseIgnoreRule(bytes.toString("utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return parseIgnoreRule("");
}

interface Rule {
  readonly skips: boolean;
  readonly matches: RegExp;
  /** The pattern's parts as far as each of them is one part of a path; `open`: more may follow below any of them. */
  readonly parts: readonly RegExp[];
  readonly open: boolean;
}

export function parseIgnoreRule(text: string): SkipRule {
  return skipRule([".git", ...linesOf(text)]);
}

function linesOf(text: string): readonly string[] {
  return text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** A rule of patterns as `.dockerignore` has them, and nothing else. */
export function skipRule(patterns: readonly string[]): SkipRule {
  const rules = patterns.map(parseRule);
  const last = (path: BytePath): number => rules.findLastIndex((rule) => rule.matches.test(path));
  return {
    skips: (path) => rules[last(path)]?.skips === true,
    mayKeepBelow(path) {
      if (path === ".git") return false;
      // A rule before the last one that matches loses below it too; one after it may match there only.
      const parts = path.split("/");
      return rules.slice(last(path) + 1).some((rule) => !rule.skips && reachesBelow(rule, parts));
    },
  };
}

function parseRule(line: string): Rule {
  const taken = line.startsWith("!");
  const pattern = toBytePath((taken ? line.slice(1).trim() : line).replace(/^\/+|\/+$/g, "").replace(/^\.\//, ""));
  const parts = pattern.split("/");
  const deep = parts.findIndex((part) => part.includes("**"));
  return {
    skips: !taken,
    matches: new RegExp(`^${globSource(pattern)}(/.*)?$`, "s"),
    parts: (deep < 0 ? parts : parts.slice(0, deep)).map((part) => new RegExp(`^${globSource(part)}$`, "s")),
    open: deep >= 0,
  };
}

/** Whether a rule may match something below a folder that it does not match itself. */
function reachesBelow({ parts, open }: Rule, folder: readonly string[]): boolean {
  if (!parts.slice(0, folder.length).every((part, i) => part.test(folder[i] ?? ""))) return false;
  return open || parts.length > folder.length;
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
