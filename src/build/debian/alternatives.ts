/** A program's name that several packages may provide: `LINK` leads to `PATH` by way of `/etc/alternatives/NAME`. */
export interface Alternative {
  readonly link: string;
  readonly name: string;
  readonly path: string;
  readonly priority: number;
  /** Other links that go with it. */
  readonly followers: readonly { readonly link: string; readonly name: string; readonly path: string }[];
}

export interface ScriptAlternatives {
  readonly alternatives: readonly Alternative[];
  /** Whether that is all of them: none of them depends on variables. */
  readonly complete: boolean;
}

/**
 * The alternatives that a maintainer script installs, as far as they are written out in it.
 *
 * @see update-alternatives(1), "--install"
 */
export function readAlternatives(script: string): ScriptAlternatives {
  const alternatives: Alternative[] = [];
  let complete = true;
  const text = script.replace(/^\s*#.*$/gm, "").replace(/\\\n/g, " ");
  for (const [, rest = ""] of text.matchAll(/\bupdate-alternatives\s([^\n;&|>]*)/g)) {
    const words = rest
      .split(/\s+/)
      .filter((word) => word !== "")
      .map((word) => word.replace(/^(["'])(.*)\1$/, "$2"));
    const at = words.indexOf("--install");
    if (at < 0) {
      // What is taken away or asked for, or in an option that a variable holds.
      if (
        words.some((word) => word.includes("$")) &&
        !words.some((word) => /^--(remove|remove-all|query|display|list)$/.test(word))
      )
        complete = false;
      continue;
    }
    const found = readInstall(words.slice(at + 1));
    if (found === undefined) complete = false;
    else alternatives.push(found);
  }
  return { alternatives, complete };
}

function readInstall(words: readonly string[]): Alternative | undefined {
  const [link, name, path, priority, ...rest] = words;
  if (!isPlace(link) || !isPlace(path) || !isName(name) || !/^-?[0-9]{1,9}$/.test(priority ?? "")) return undefined;
  const followers: { link: string; name: string; path: string }[] = [];
  for (let at = 0; at < rest.length; at += 4) {
    const [option, followerLink, followerName, followerPath] = rest.slice(at, at + 4);
    if (option !== "--slave" || !isPlace(followerLink) || !isPlace(followerPath) || !isName(followerName))
      return undefined;
    followers.push({ link: followerLink, name: followerName, path: followerPath });
  }
  return { link, name, path, priority: Number(priority), followers };
}

function isPlace(word: string | undefined): word is string {
  return word !== undefined && /^\/[A-Za-z0-9@_+./:-]+$/.test(word) && !/(^|\/)\.\.?(\/|$)/.test(word);
}

function isName(word: string | undefined): word is string {
  return word !== undefined && /^[A-Za-z0-9@_+.:-]+$/.test(word) && !/^\.\.?$/.test(word);
}

/**
 * The symlinks of the alternatives with the highest priority, the first of equals; none for a program that is not there or
 * in place of a file.
 *
 * @param has whether the root has an absolute path
 */
export function alternativeLinks(
  alternatives: readonly Alternative[],
  has: (path: string) => boolean,
): readonly { readonly path: string; readonly target: string }[] {
  const best = new Map<string, Alternative>();
  for (const one of alternatives) {
    const before = best.get(one.name);
    if (has(one.path) && (before === undefined || before.priority < one.priority)) best.set(one.name, one);
  }
  return [...best.values()]
    .flatMap((one) => [one, ...one.followers])
    .filter(({ link, path }) => has(path) && !has(link))
    .flatMap(({ link, name, path }) => [
      { path: `/etc/alternatives/${name}`, target: path },
      { path: link, target: `/etc/alternatives/${name}` },
    ]);
}
