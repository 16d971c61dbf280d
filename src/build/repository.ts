import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * A repository's address as others can use it: without user names and passwords, but the one that ssh needs. Folders of this
 * machine mean nothing elsewhere.
 *
 * @returns null for what is no such address
 */
export function shareableAddress(remote: string): string | null {
  // As scp writes it: USER@HOST:PATH.
  const [, user, host, path] =
    /^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!\/\/)([^\s].*)$/.exec(remote) ?? [];
  if (host !== undefined && path !== undefined)
    return `ssh://${user === undefined ? "" : `${user}@`}${host}/${path.replace(/^\/+/, "")}`;
  let url: URL;
  try {
    url = new URL(remote);
  } catch {
    return null;
  }
  if (!["https:", "http:", "ssh:", "git:"].includes(url.protocol)) return null;
  if (url.protocol !== "ssh:") url.username = "";
  url.password = url.search = url.hash = "";
  return url.href;
}

/**
 * Where a clone says that it comes from, as its own configuration has it: git itself takes longer to start than this.
 *
 * @param config text of a repository's `config`
 * @see git-config(1), "Syntax"
 */
export function originIn(config: string): string | undefined {
  let isOrigin = false;
  let found: string | undefined;
  for (const line of config.split("\n")) {
    const section = /^\s*\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line);
    if (section !== null) isOrigin = section[1]?.toLowerCase() === "remote" && section[2] === "origin";
    const url = isOrigin ? /^\s*url\s*=\s*"?([^"#;\s]+)"?\s*(?:[#;].*)?$/i.exec(line)?.[1] : undefined;
    found = url ?? found;
  }
  return found;
}

/** The folder that git's paths begin in: the nearest one above with a `.git`, unless the environment names it. */
export function workTreeOf(folder: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const real = realpathSync(folder);
  if (env["GIT_WORK_TREE"] !== undefined) return realpathSync(env["GIT_WORK_TREE"]);
  for (let at = real; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** What `git status --porcelain=v2 --ignored` says is ignored, as paths in a folder of the work tree; null where it cannot be told. */
export function ignoredIn(status: string, folder: string): readonly string[] | null {
  const prefix = folder === "" ? "" : `${folder}/`;
  const found: string[] = [];
  for (const line of status.split("\n")) {
    if (!line.startsWith("! ")) continue;
    const path = line.slice(2);
    // Quoted: an odd name, and its folder may be anywhere.
    if (path.startsWith('"')) return null;
    // The project's folder itself, or one above it.
    if (prefix.startsWith(path)) return null;
    if (path.startsWith(prefix)) found.push(path.slice(prefix.length));
  }
  return found;
}

/** Where a folder is in its work tree; "" is the root. */
export function folderIn(workTree: string, folder: string): string {
  return relative(workTree, realpathSync(folder));
}
